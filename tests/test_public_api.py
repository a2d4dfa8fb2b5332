"""The names that `gaze_vlm` exports, and the examples in docstrings."""

import doctest
import subprocess
import sys
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest

import gaze_vlm

SOURCE = Path(gaze_vlm.__file__).parent
USED_ALONE = (  # without Lightning, by who has a trainer already: docs/api.md
    "GazeBlock",
    "GazeMixture",
    "GazeMixture.on",
    "GazeRegularizer",
    "GazeSamples",
    "capture_attention",
    "gaze_divergence",
    "load_backbone",
    "patch_distribution",
)
WITH_EXAMPLES = [file for file in SOURCE.rglob("*.py") if ">>> " in file.read_text(encoding="utf-8")]


def test_each_public_name_loads():
    for name in gaze_vlm.__all__:
        assert getattr(gaze_vlm, name).__name__ == name
    assert {*gaze_vlm.__all__} <= {*dir(gaze_vlm)}
    with pytest.raises(AttributeError, match="no attribute 'gaze_divergance'"):
        _ = gaze_vlm.gaze_divergance  # type: ignore[attr-defined]


def test_the_import_alone_loads_nothing_large():
    loaded = "import sys, gaze_vlm; print({'torch', 'numpy', 'transformers', 'lightning'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True).strip() == "set()"


def test_no_name_but_those_of_lightning_imports_it():
    names = [name for name in gaze_vlm.__all__ if name not in ("ClipDataModule", "GazeVLM")]
    load = f"import sys, gaze_vlm; [getattr(gaze_vlm, name) for name in {names}]; print([*sys.modules])"
    loaded = subprocess.check_output([sys.executable, "-W", "ignore", "-c", load], text=True)
    assert "'transformers'" in loaded
    assert not {"'lightning'", "'pytorch_lightning'"} & {*loaded.strip("[]\n").split(", ")}


def test_types_are_shipped():
    assert (SOURCE / "py.typed").is_file()


def test_the_page_of_the_api_runs(monkeypatch):
    monkeypatch.chdir(SOURCE.parents[1])  # it names a picture of examples/
    failed, tried = doctest.testfile("docs/api.md", module_relative=False, encoding="utf-8")
    assert tried > 15
    assert failed == 0


@pytest.mark.parametrize("name", USED_ALONE)
def test_what_is_used_alone_has_an_example(name):
    assert ">>> " in (attrgetter(name)(gaze_vlm).__doc__ or "")


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=lambda file: file.stem)
def test_examples_in_docstrings(file):
    name = ".".join(("gaze_vlm", *file.relative_to(SOURCE).with_suffix("").parts))
    failed, tried = doctest.testmod(import_module(name))
    assert tried > 0
    assert failed == 0
