"""The notebook of the quick start runs from its first cell to its last, and is stored without what it printed."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from training_files import ROOT

NOTEBOOK = ROOT / "docs" / "quick_start.ipynb"


def test_the_notebook_is_stored_without_output() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert len(cells) > 5
    assert all(cell.execution_count is None and not cell.outputs for cell in cells)


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of its own, on a kitchen that it renders."""
    (tmp_path / "lightning_configs").symlink_to(ROOT / "lightning_configs")
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{kind}_DIR", str(tmp_path / kind))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = {
        index: "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
    }
    assert "the gaze itself: 0.0" in "".join(printed.values())
    assert (tmp_path / "runs" / "notebook" / "gaze" / "seed0" / "metrics.json").is_file()
