import tomllib
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gaze_vlm.training.checks import versions
from gaze_vlm.training.checks.versions import misfits

ROOT = Path(__file__).parents[2]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_constraints_are_names_and_versions_alone() -> None:
    assert all(name == canonicalize_name(name) for name in pins())


def test_what_is_pinned_is_what_pyproject_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [Requirement(line) for line in project["dependencies"]]
    needed += [Requirement(line) for extra in project["optional-dependencies"].values() for line in extra]
    pinned = pins()
    wrong = [str(one) for one in needed if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0"))]
    assert wrong == []


def test_the_installed_versions_fit_each_other() -> None:
    assert misfits() == []


class Fake(metadata.Distribution):
    def __init__(self, version: str, requires: list[str]) -> None:
        self.message = Message()
        self.message["Version"] = version
        for line in requires:
            self.message["Requires-Dist"] = line

    @property
    def metadata(self) -> Message:  # type: ignore[override]
        return self.message

    def read_text(self, filename: str) -> None:
        return None

    def locate_file(self, path: object) -> Path:
        raise AssertionError("no file is asked for")


@pytest.fixture
def nothing_known() -> Iterator[None]:
    """What is installed is read anew, before and after."""
    versions.read_installed.cache_clear()
    yield
    versions.read_installed.cache_clear()


@pytest.mark.usefixtures("nothing_known")
def test_a_pair_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {
        "lab": Fake("1.0", ["torchvision>=0.26", 'peft; extra == "qlora"', "accelerate[deep]"]),
        "torchvision": Fake("0.29.1", ["torch==2.14.1", 'numpy>=9; python_version < "3"']),
        "torch": Fake("2.13.0+cpu", []),
        "accelerate": Fake("1.15", ['deepspeed; extra == "deep"', 'rich>=99; extra == "other"']),
    }

    def distribution(name: str) -> Fake:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(versions, "distribution", distribution)
    assert misfits("lab") == [
        'accelerate 1.15 needs deepspeed; extra == "deep", which is not installed',
        "torchvision 0.29.1 needs torch==2.14.1, 2.13.0+cpu is installed",
    ]
