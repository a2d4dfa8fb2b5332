"""`gaze-vlm doctor` without options: what is installed and what the machine has, each with its fix."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from gaze_vlm import cores
from gaze_vlm.cli import main
from gaze_vlm.doctor import machine, packages
from gaze_vlm.doctor.command import CHECKS, check_installation
from gaze_vlm.doctor.installation import Check, Finding, found_by, installation_page
from gaze_vlm.errors import InputError


def only(check: Check) -> Finding:
    (found,) = check()
    return found


def test_the_page_is_aligned_and_has_each_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = [
        Finding("Python", "ok", "3.11"),
        Finding("a disk", "problem", "word " * 30, "make room"),
        Finding("b", "warning", "x", "y"),
    ]
    lines = installation_page(found).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == f"{'ok':9} {'Python':20} 3.11"
    assert [line[:31].split() for line in lines] == [
        ["ok", "Python"],
        ["problem", "a", "disk"],
        *[[]] * 3,
        ["warning", "b"],
        [],
    ]
    assert [line.strip() for line in lines if "→" in line] == ["→ make room", "→ y"]


def test_a_problem_is_status_1_and_a_warning_is_not(capsys: pytest.CaptureFixture) -> None:
    def check_disk() -> Iterator[Finding]:
        yield Finding("disk", "problem", "full", "make room")

    def check_load() -> Iterator[Finding]:
        yield Finding("load", "warning", "high", "wait")

    check_installation([check_load])
    assert capsys.readouterr().out.startswith("warning   load")
    with pytest.raises(InputError, match=r"has problems \(disk\)"):
        check_installation([check_load, check_disk])
    assert "→ make room" in capsys.readouterr().out


def test_a_check_that_fails_is_a_problem_and_the_others_run() -> None:
    def check_torch_vision() -> Iterator[Finding]:
        raise ImportError("libcudart.so.13: cannot open shared object file")
        yield

    def check_load() -> Iterator[Finding]:
        yield Finding("load", "ok", "low")

    first, second = found_by([check_torch_vision, check_load])
    assert (first.name, first.state, second.name) == ("torch vision", "problem", "load")
    assert "ImportError: libcudart.so.13" in first.text


def test_this_installation(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever machine this is, every check runs to its end."""
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    main(["doctor"])
    page = capsys.readouterr().out
    assert "the check itself failed" not in page
    names = set(re.findall(r"(?m)^(?:ok|warning|problem) +(\S+)", page))
    assert names >= {"Python", "packages", "what", "sentence", "video", "processors", "memory", "working", "models"}
    assert re.search(r"(?m)^ok +packages +(\d+) of \1 are", page)
    assert len(CHECKS) <= len(page.splitlines())


def test_nothing_large_is_imported_before_the_checks() -> None:
    loaded = "import sys, gaze_vlm.doctor.command; print({'torch', 'numpy', 'transformers', 'av'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True).strip() == "set()"


class Installed:
    """A distribution with what a check asks of it."""

    def __init__(self, version: str, requires: list[str] | None = None, python: str = ">=3.11") -> None:
        self.version = version
        self.requires = requires
        self.metadata = Message()
        self.metadata["Requires-Python"] = python


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Installed]:
    there: dict[str, Installed] = {}

    def distribution(name: str) -> Installed:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(packages, "distribution", distribution)
    return there


def test_packages_are_held_to_their_ranges(installed: dict[str, Installed]) -> None:
    asked = ["torch>=2.11,<2.15", "av>=17.1", "numpy>=2", "wandb>=0.19; extra == 'wandb'", "ray>=2; extra == 'cluster'"]
    installed |= {
        packages.PACKAGE: Installed("0.1", asked),
        "torch": Installed("2.10.0+cu130"),
        "numpy": Installed("2.3"),
    }
    installed["wandb"] = Installed("0.18")
    found = {one.name: one for one in packages.check_packages()}
    assert found["torch"].state == "problem"
    assert found["torch"].text == "2.10.0+cu130 is installed, and the range is <2.15,>=2.11"
    assert (found["av"].state, found["av"].fix) == ("problem", "pip install 'av>=17.1'")
    assert (found["wandb"].state, found["wandb"].fix) == ("warning", "pip install 'wandb>=0.19'")
    assert "ray" not in found
    assert "numpy" not in found
    assert found["packages"].text.startswith("1 of 3 are")
    asked.append("numpy>=2.4; extra == 'small-model'")
    found = {one.name: one for one in packages.check_packages()}
    assert (found["numpy"].state, found["numpy"].text) == (
        "warning",
        '2.3 is installed, and the range is >=2.4 for extra == "small-model"',
    )
    assert found["packages"].text.startswith("1 of 3 are")


def test_python_is_held_to_its_range(installed: dict[str, Installed], monkeypatch: pytest.MonkeyPatch) -> None:
    installed[packages.PACKAGE] = Installed("0.1", python=">=3.11,<3.14")
    for version, state in (("3.10.9", "problem"), ("3.12.1", "ok"), ("3.14.0", "problem")):
        monkeypatch.setattr(packages, "python_version", lambda version=version: version)
        assert only(packages.check_python).state == state


def test_a_torchvision_of_another_torch_is_a_problem(installed: dict[str, Installed]) -> None:
    installed |= {"torch": Installed("2.14.1+cu130"), "torchvision": Installed("0.28", ["torch==2.13.0", "numpy"])}
    installed[packages.PACKAGE] = Installed("0.1", ["torch<2.15,>=2.11", "torchvision>=0.26", "av>=17.1"])
    found = only(packages.check_torchvision)
    assert found.text == "0.28 is built for torch==2.13.0, and torch is 2.14.1+cu130"
    assert found.fix.startswith("pip install --upgrade 'torch<2.15,>=2.11' 'torchvision>=0.26', both")
    installed["torchvision"].requires = ["torch==2.14.1"]
    assert [*packages.check_torchvision()] == []


def test_the_namesake_on_pypi_is_a_problem(installed: dict[str, Installed]) -> None:
    assert [*packages.check_namesake()] == []
    installed["gaze-vlm"] = Installed("0.1.1")
    assert only(packages.check_namesake).fix.startswith("pip uninstall gaze-vlm")


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment's folder of commands, on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in packages.COMMANDS:
        write_command(folder / name, "from gaze_vlm.cli import main")
    monkeypatch.setattr(packages.sysconfig, "get_path", lambda kind: str(folder))
    monkeypatch.setattr(packages, "entry_points", lambda **_: [])
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_command(file: Path, code: str) -> None:
    file.write_text(f"#!/home/ada/gaze_vlm/.venv/bin/python\n{code}\n")  # a checkout's usual place
    file.chmod(0o755)


def test_the_commands_are_ours(scripts: Path) -> None:
    assert [(one.name, one.state) for one in packages.check_commands()] == [("gaze-vlm", "ok"), ("lightning", "ok")]


def test_a_foreign_lightning_first_on_the_path(scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_command(other / "lightning", "from lightning_sdk.cli import main")
    monkeypatch.setenv("PATH", f"{other}{os.pathsep}{scripts}")
    ours, foreign = packages.check_commands()
    assert (ours.state, foreign.state) == ("ok", "problem")
    assert str(other / "lightning") in foreign.text
    assert f". {scripts / 'activate'}" in foreign.fix


def test_a_package_that_wrote_over_lightning(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = SimpleNamespace(dist=SimpleNamespace(name="lightning_sdk"))
    monkeypatch.setattr(packages, "entry_points", lambda name, **_: [sdk] if name == "lightning" else [])
    assert [one.state for one in packages.check_commands()] == ["ok", "warning"]
    write_command(scripts / "lightning", "from lightning_sdk.cli import main")
    _, foreign = packages.check_commands()
    assert foreign.state == "problem"
    assert "is not ours: lightning_sdk wrote it" in foreign.text


def test_commands_off_the_path_are_a_warning(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert {one.state for one in packages.check_commands()} == {"warning"}


@pytest.mark.parametrize(
    ("built", "driver", "usable", "state", "text"),
    [
        (None, (13, 0), False, "problem", "built for the CPU alone"),
        ("13.0", (12, 8), False, "problem", "the driver is of CUDA 12.8"),
        ("12.6", (12, 4), True, "ok", "driver of CUDA 12.4"),  # minor versions work with each other
        ("13.0", (13, 1), False, "problem", "cannot use it"),
        ("13.0", (13, 1), True, "ok", "H100, 80 GB, torch of CUDA 13.0"),
    ],
)
def test_torch_against_the_driver(
    built: str | None, driver: tuple[int, int], usable: bool, state: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(machine, "has_gpu", lambda: True)
    monkeypatch.setattr(machine, "driver_cuda", lambda: driver)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    h100 = SimpleNamespace(name="H100", total_memory=80e9, major=9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: h100)
    found = only(machine.check_gpu)
    assert found.state == state
    assert text in found.text
    assert bool(found.fix) == (state != "ok")


def test_a_decoder_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(machine.check_decoders).state == "ok"
    real = machine.has_codec
    monkeypatch.setattr(
        machine, "has_codec", lambda name, mode: name not in ("hevc", "libdav1d", "libaom-av1") and real(name, mode)
    )
    found = only(machine.check_decoders)
    assert found.state == "problem"
    assert found.text.endswith("lacks HEVC, AV1")


def test_memory_is_what_the_container_leaves(tmp_path: Path) -> None:
    kernel = tmp_path / "meminfo"
    kernel.write_text("MemTotal:  100 kB\nMemAvailable:   16000000 kB\n")
    assert machine.available_memory(kernel, tmp_path) == (16_384_000_000, "the machine")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    assert machine.available_memory(kernel, tmp_path) == (16_384_000_000, "the machine")
    (tmp_path / "memory.max").write_text("4000000000\n")
    assert machine.available_memory(kernel, tmp_path) == (3_000_000_000, "the container or job")
    assert machine.available_memory(tmp_path / "none", tmp_path / "none") == (None, "")


def test_little_memory_is_a_warning_and_hardly_any_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((1e9, "problem"), (4e9, "warning"), (9e9, "ok")):
        monkeypatch.setattr(machine, "available_memory", lambda free=free: (int(free), "the machine"))
        assert next(machine.check_memory()).state == state


def test_the_shared_memory_of_a_container_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=64e6, free=64e6))
    found = [*machine.check_memory()][-1]
    assert (found.name, found.state) == ("shared memory", "warning")
    assert "--shm-size" in found.fix


@pytest.mark.parametrize(
    ("threads", "quota", "load", "state", "fix"),
    [
        ("", None, 0.5, "ok", ""),
        ("8", None, 0.5, "warning", "export OMP_NUM_THREADS=4"),
        ("4", 2.5, 0.5, "warning", "export OMP_NUM_THREADS=2"),
        ("", 0.5, 0.5, "warning", "export OMP_NUM_THREADS=1"),
        ("", None, 9.0, "warning", "export OMP_NUM_THREADS=1, while it does"),
        ("1", None, 9.0, "ok", ""),
    ],
)
def test_threads_against_processors(
    threads: str, quota: float | None, load: float, state: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for module in (cores, machine):
        monkeypatch.setattr(module, "processors", lambda: 4)
        monkeypatch.setattr(module, "processor_quota", lambda: quota)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    found = only(machine.check_processors)
    assert (found.state, found.fix) == (state, fix)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine, "TemporaryFile", refuse)
    first, second = machine.check_disk()
    assert (first.state, second.state) == ("problem", "problem")
    assert "cannot be written: Read-only file system" in first.text
