"""The wheel has all that the package needs in another folder: configurations, checkpoint, types, licence, commands."""

import os
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Built of a copy, for a build leaves files of its own beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    left_out = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in ("src", "lightning_configs", "backbones", "datamodules"):
        if (ROOT / name).is_symlink():
            (source / name).symlink_to((ROOT / name).readlink())
        else:
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=left_out)
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=source, check=True, capture_output=True, timeout=120)
    (file,) = folder.glob("*.whl")
    return ZipFile(file)


def test_every_configuration_and_checkpoint_is_in_it(wheel: ZipFile) -> None:
    names = {*wheel.namelist()}
    for file in (ROOT / "lightning_configs").rglob("*"):
        if file.is_file():
            name = f"gaze_vlm/shipped/lightning_configs/{file.relative_to(ROOT / 'lightning_configs')}"
            assert wheel.read(name) == file.read_bytes()
    assert {"gaze_vlm/py.typed", "gaze_vlm/shipped/kitchen-llava/model.safetensors"} <= names
    assert "gaze_vlm/report/templates/comparison.html" in names
    assert [name for name in names if name.endswith("/licenses/LICENSE")]
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"gaze_vlm"}


def test_both_commands_are_in_it(wheel: ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    entry_points = ConfigParser()
    entry_points.read_string(wheel.read(name).decode())
    assert {*entry_points["console_scripts"]} == {"gaze-vlm", "lightning"}


def test_it_runs_in_another_folder(wheel: ZipFile, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    wheel.extractall(installed)
    elsewhere.mkdir()
    code = """
from configparser import ConfigParser
from pathlib import Path
from gaze_vlm.command_line.composition import expand_configs
from gaze_vlm.shipped.checkpoints import locate_checkpoint
print(locate_checkpoint("kitchen-llava"))
print(*expand_configs(["--config", "lightning_configs/kitchen/gaze.yaml"]), sep="\\n")
"""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, env=environment, check=True, capture_output=True, text=True
    )
    checkpoint, base, *_ = done.stdout.splitlines()
    assert Path(checkpoint) == installed / "gaze_vlm" / "shipped" / "kitchen-llava"
    assert base == f"--config={installed / 'gaze_vlm' / 'shipped' / 'lightning_configs' / 'base.yaml'}"
