"""Fixtures that put every family in turn, with its tiny checkpoint, before the tests of a folder."""

from pathlib import Path

import pytest

from backbone_families import FAMILIES, Family
from gaze_vlm.backbones.loading import save_checkpoint


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(family.name)
    save_checkpoint(*family.build(), folder)
    return folder
