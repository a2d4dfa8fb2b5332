"""`make install` refuses a Python of another version, and falls back to pip where uv is not to be had or fails."""

import shutil
import subprocess
import sys
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


@pytest.mark.parametrize(
    ("version", "taken"), [((3, 10), False), ((3, 11), True), ((3, 14), True), ((3, 15), False), ((2, 7), False)]
)
def test_a_python_that_is_too_old_or_too_new_is_refused(tmp_path: Path, version: tuple[int, int], taken: bool) -> None:
    """In one line, before an environment is made."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(PROJECT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/sh
case "$1" in
--version) echo "Python {version[0]}.{version[1]}.0"; exit 0 ;;
-c) exec "{sys.executable}" -c "import sys; sys.version_info = {(*version, 0)}; $(echo "$2")" ;;
esac
exit 3
"""
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "install", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0  # the stand-in makes no environment
    assert ("-m venv" in done.stdout) == taken
    refusal = f"{python} is Python {version[0]}.{version[1]}.0, and Python 3.11 to 3.14 is needed: name one, as in"
    assert (refusal in done.stdout) != taken


def test_a_python_that_is_not_there_is_refused(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "Makefile", tmp_path / "Makefile")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    done = subprocess.run(
        ["make", "install", "PYTHON=python9"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "not a program, and Python 3.11 to 3.14 is needed" in done.stdout
