"""`make install` falls back to pip where uv is not to be had or fails."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PYTHON = """#!/bin/sh
echo "python $*" >> "$(dirname "$0")/called"
case "$*" in *" uv") exit {uv};; esac
"""
UV = """#!/bin/sh
echo "uv $*" >> "$(dirname "$0")/called"
exit {works}
"""


@pytest.mark.parametrize(("uv", "works", "pip_installs"), [(0, 0, False), (1, 0, True), (0, 2, True)])
def test_install_by_uv_or_by_pip(tmp_path: Path, uv: int, works: int, pip_installs: bool) -> None:
    """uv cannot be had, or fails: pip then installs with the same constraints, and a line says so."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, tmp_path / name)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in (("python", PYTHON.format(uv=uv)), ("uv", UV.format(works=works))):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["make", "install", "PYTHON=true"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    called = (programs / "called").read_text()
    installed = "python -m pip install --quiet --constraint constraints.txt --editable .[dev]" in called
    assert installed == pip_installs == ("pip installs the same versions" in done.stdout)
    assert ("uv pip install" in called) == (uv == 0)
    assert (tmp_path / ".venv" / "installed").is_file()
