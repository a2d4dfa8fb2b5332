"""What tests share: a prepared tiny data set, and a tiny backbone with random weights."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import config

import shape_checks  # noqa: F401 (before what it checks)

# isort: split

from egtea_files import SESSIONS, write_root
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports it: no test asks a hub


WAITING = ("processes", "training")  # folders of the tests that wait longest, which begin first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in WAITING)


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Let a test call a function with arrays of other shapes than it states, to see what it says itself."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def parameters() -> PreparationParameters:
    return PreparationParameters(observation_s=4, anticipation_s=2, stride_s=1, split_fractions=(0.6, 0.1, 0.3))


@pytest.fixture(scope="session")
def raw_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sessions of two participants; not to be changed."""
    return write_root(tmp_path_factory.mktemp("raw"), SESSIONS)


@pytest.fixture(scope="session")
def prepared(raw_root: Path, parameters: PreparationParameters, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `raw_root`; not to be changed."""
    return prepare("egtea", raw_root, tmp_path_factory.mktemp("prepared") / "store", parameters, workers=1)


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA checkpoint of the real classes with random weights; not to be changed."""
    from gaze_vlm.backbones.loading import save_checkpoint  # slow to import
    from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava

    words = "what is the camera wearer doing will do next ? cut pick up red cup onion".split()
    size = TinyLlavaSize(image=48, patch=12, vision_width=32, vision_layers=2, language_width=32)
    folder = tmp_path_factory.mktemp("tiny-llava")
    save_checkpoint(*build_tiny_llava(words, size), folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; the test is skipped with the reason where there is none.

    It ends with its module: its end would wait for processes that other tests fork, which hold its pipes too.
    """
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
