"""The figures of docs/method.md are drawn by the script that its page names."""

import runpy
from pathlib import Path

import pytest
from PIL import Image

from training_files import ROOT


def test_the_figures_of_the_method_are_drawn(
    compared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = runpy.run_path(str(ROOT / "docs" / "method_figures.py"))
    script["main"]([compared.parent / "runs" / arm / "seed0" for arm in ("control", "gaze")], tmp_path)
    assert "clip P" in capsys.readouterr().out
    for name in ("method_target.jpg", "method_attention.jpg"):
        with Image.open(tmp_path / name) as drawn, Image.open(ROOT / "docs" / name) as shown:
            assert drawn.size == shown.size  # as many panels
        assert f"({name})" in (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
