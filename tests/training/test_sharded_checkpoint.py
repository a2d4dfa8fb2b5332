"""A checkpoint in shards is whole, or refused in one line; test_exact_resume.py trains with it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from gaze_vlm.command_line.commands import how_to_resume
from gaze_vlm.digests import SUMS, file_digest, listed
from gaze_vlm.errors import InputError
from gaze_vlm.output import remove_drafts
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint_files import find_checkpoint, read_checkpoint, write_checkpoint
from gaze_vlm.training.sharded_checkpoint import REST, read_sharded
from sharded_writers import checkpoint, write, write_in_two


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote."""
    path = tmp_path_factory.mktemp("of_two") / "last.ckpt"
    assert write_in_two(path, 1.0) == ["", ""]
    return path


@pytest.fixture
def written(of_two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(of_two, tmp_path / "checkpoints" / "last.ckpt"))


def value_of(path: Path) -> float:
    return float(read_checkpoint(path)["state_dict"]["a.weight"][0, 0])


def test_two_processes_write_their_shards_and_one_reads_the_whole(of_two: Path) -> None:
    files = sorted(path.name for path in of_two.iterdir())
    assert files == [SUMS, REST, *(f"shard-0000{i}-model-00001-of-00001.safetensors" for i in (1, 2))]
    assert (of_two / SUMS).read_text() == listed({name: file_digest(of_two / name) for name in files[1:]})
    torch.testing.assert_close(read_checkpoint(of_two), checkpoint(1.0), rtol=0, atol=0)


def test_a_process_reads_its_own_shards(of_two: Path, alone: DeviceMesh) -> None:
    expected = checkpoint(1.0, alone)
    found = read_sharded(
        of_two, lambda place, _: torch.empty_like(expected["state_dict"][place[1]]) if len(place) == 2 else None
    )
    weight = found["state_dict"]["a.weight"]
    assert isinstance(weight, DTensor)
    assert torch.equal(weight.full_tensor(), checkpoint(1.0)["state_dict"]["a.weight"])
    assert found["optimizer_states"][0]["state"][0]["exp_avg"] is None


def test_what_one_process_cannot_write_leaves_the_one_before(written: Path) -> None:
    said = write_in_two(written, 2.0, fills_up=True)
    assert said[0] == said[1]
    assert said[0].startswith(f"{written} cannot be written (File too large): make room")
    assert value_of(written) == 1
    assert {path.name for path in written.parent.iterdir()} == {"last.ckpt", "meet2.0", "0.txt", "1.txt"}


@pytest.mark.parametrize(
    ("killed", "call"),
    [("gaze_vlm.training.sharded_checkpoint:file_digest", 1), ("pathlib:Path.replace", 1), ("pathlib:Path.replace", 2)],
)
def test_a_killed_writer_leaves_one_that_is_read(
    killed: str, call: int, written: Path, alone: DeviceMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = resolve_name(killed), []

    def kill(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as once:
        once.setattr(killed.replace(":", "."), kill)
        once.setattr("shutil.rmtree", lambda *_, **__: None)  # a killed process deletes nothing
        with pytest.raises(KeyboardInterrupt):
            write(written, alone, 2.0)
    assert len([*written.parent.iterdir()]) == 2
    assert value_of(written) == 1
    run = RunDirectory(written.parents[1])
    for name in ("last", Path("last")):  # the parser takes either
        assert read_checkpoint(Path(str(find_checkpoint(name, run, "fit"))))["epoch"] == 1
    assert "--ckpt_path last" in how_to_resume(run)
    write(written, alone, 3.0)
    remove_drafts(written.parent)
    assert value_of(written) == 3
    assert [path.name for path in written.parent.iterdir()] == ["last.ckpt"]


def test_files_and_folders_replace_each_other(written: Path, alone: DeviceMesh) -> None:
    write_checkpoint(checkpoint(2.0), written)
    assert written.is_file()
    assert value_of(written) == 2
    write(written, alone, 3.0)
    assert written.is_dir()
    assert value_of(written) == 3
    assert [path.name for path in written.parent.iterdir()] == ["last.ckpt"]


SHARD = "shard-00002-model-00001-of-00001.safetensors"


def flip(folder: Path) -> None:
    content = bytearray((folder / SHARD).read_bytes())
    content[-1] ^= 1
    (folder / SHARD).write_bytes(content)


def write_sums(folder: Path) -> None:
    """Write the digests of what is in a folder, as who made it on purpose would."""
    (folder / SUMS).unlink()
    (folder / SUMS).write_text(listed({file.name: file_digest(file) for file in folder.iterdir()}))


def lose(folder: Path) -> None:
    (folder / SHARD).unlink()
    write_sums(folder)


def of_another_program(folder: Path) -> None:
    save_file({"weight": torch.ones(1)}, folder / SHARD)
    write_sums(folder)


def with_code(folder: Path) -> None:
    torch.save({"gaze_vlm": {}, "code": Code()}, folder / REST)
    write_sums(folder)


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, f"{SHARD} is not the file that was written"),
        (lambda folder: (folder / SHARD).unlink(), f"{SHARD} is missing"),
        (lambda folder: shutil.copy(folder / SHARD, folder / "more.safetensors"), f"more.safetensors is not in {SUMS}"),
        (lambda folder: (folder / SUMS).unlink(), f"has no {SUMS}"),
        (lambda folder: (folder / SUMS).write_text("a"), f"{SUMS} is damaged"),
        (lose, "cannot be read as a checkpoint"),
        (of_another_program, "cannot be read as a checkpoint"),
        (with_code, "cannot be read as a checkpoint"),
    ],
)
def test_a_damaged_folder_is_one_line(
    damage: Callable[[Path], Any], message: str, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    damage(written)
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        read_checkpoint(written)
    assert "\n" not in str(refused.value)
    assert str(written) in str(refused.value)
    assert not Path("ran").exists()
