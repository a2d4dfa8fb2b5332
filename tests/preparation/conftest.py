"""Copies of the raw data and of a store, to be changed."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def root(raw_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(raw_root, tmp_path / "raw"))


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "store"))
