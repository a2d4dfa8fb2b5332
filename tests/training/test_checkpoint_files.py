"""A checkpoint file is whole, or refused in one line."""

import errno
import hashlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from gaze_vlm.digests import sum_beside
from gaze_vlm.errors import InputError, MissingFileError, OutputError
from gaze_vlm.training.checkpoint_files import CheckpointFiles, read_checkpoint, write_checkpoint


def checkpoint(value: float = 1.0) -> dict[str, Any]:
    return {"gaze_vlm": {}, "state_dict": {"weight": torch.full((1000,), value)}}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "best.ckpt"
    write_checkpoint(checkpoint(), path)
    return path


def test_a_checkpoint_and_its_digest(written: Path) -> None:
    digest = hashlib.sha256(written.read_bytes()).hexdigest()
    assert sum_beside(written).read_text() == f"{digest}  best.ckpt\n"
    assert value_of(written) == 1
    write_checkpoint(checkpoint(2.0), written)
    assert value_of(written) == 2
    assert sorted(path.name for path in written.parent.iterdir()) == ["best.ckpt", "best.ckpt.sha256"]


def value_of(path: Path) -> float:
    return float(read_checkpoint(path)["state_dict"]["weight"][0])


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Checkpoints are renamed to their place once it is set."""
    original, ready = Path.replace, Event()
    monkeypatch.setattr(Path, "replace", lambda self, target: (ready.wait(10), original(self, target))[1])
    yield ready
    ready.set()


def test_a_checkpoint_is_written_in_the_background_as_it_was(written: Path, slow_disk: Event) -> None:
    files, second = CheckpointFiles(), checkpoint(2.0)
    files.save_checkpoint(second, written)
    second["state_dict"]["weight"].fill_(5.0)  # the next step
    files.wait(until_written=False)
    assert value_of(written) == 1
    slow_disk.set()
    files.save_checkpoint(checkpoint(3.0), written.with_name("last.ckpt"))  # waits for the one before
    assert value_of(written) == 2
    assert float(files.load_checkpoint(written.with_name("last.ckpt"))["state_dict"]["weight"][0]) == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_takes_no_more_is_one_line(written: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    files = CheckpointFiles()
    with monkeypatch.context() as once:
        once.setattr(Path, "write_bytes", refuse)
        files.save_checkpoint(checkpoint(2.0), written)
        with pytest.raises(OutputError, match=rf"best.ckpt cannot be written \({os.strerror(number)}\)"):
            files.wait()
    assert value_of(written) == 1
    files.save_checkpoint(checkpoint(3.0), written)  # there is room again
    files.wait()
    assert value_of(written) == 3


def test_a_file_that_the_system_cuts_leaves_the_one_before(written: Path) -> None:
    files, before = CheckpointFiles(), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        files.save_checkpoint(checkpoint(2.0), written)
        with pytest.raises(OutputError, match="cannot be written"):
            files.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert value_of(written) == 1
    assert len(list(written.parent.iterdir())) == 2  # no draft is left


def test_a_flipped_byte_is_found(written: Path) -> None:
    content = bytearray(written.read_bytes())
    content[-3000] ^= 1
    written.write_bytes(content)
    with pytest.raises(InputError, match="is not the file that was written: its SHA-256"):
        read_checkpoint(written)


@pytest.mark.parametrize("killed", ["torch.save", "gaze_vlm.output.Path.replace"])
def test_a_killed_writer_leaves_the_file_of_before(written: Path, killed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(killed, kill)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(checkpoint(2.0), written)
    assert value_of(written) == 1


@pytest.mark.parametrize(("stop", "value"), [(2, 1), (3, 2)])
def test_a_writer_killed_between_renames_leaves_what_is_read(
    stop: int, value: int, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, renamed = Path.replace, []

    def kill(self: Path, target: Path) -> Path:
        renamed.append(target)
        if len(renamed) == stop:
            raise KeyboardInterrupt
        return original(self, target)

    with monkeypatch.context() as once:
        once.setattr(Path, "replace", kill)
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(checkpoint(2.0), written)
    assert value_of(written) == value


class Code:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch ran",)


@pytest.mark.filterwarnings("ignore:.* has no .*sha256 beside it")
def test_a_file_that_is_no_checkpoint_is_one_line(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sum_beside(written).unlink()
    whole = written.read_bytes()
    for content, message in (
        (b"", "is empty"),
        (whole[: len(whole) // 2], "cannot be read as a checkpoint"),
        (whole[:10], "cannot be read as a checkpoint"),
        (b"a text file", "cannot be read as a checkpoint"),
    ):
        written.write_bytes(content)
        with pytest.raises(InputError, match=message) as refused:
            read_checkpoint(written)
        assert "\n" not in str(refused.value)
        assert str(written) in str(refused.value)
    for value in ({"weight": torch.ones(1)}, torch.ones(1), [1]):
        torch.save(value, written)
        with pytest.raises(InputError, match=r"was not written by gaze_vlm"):
            read_checkpoint(written)
    torch.save({**checkpoint(), "code": Code()}, written)
    with pytest.raises(InputError, match="cannot be read as a checkpoint"):
        read_checkpoint(written)
    assert not Path("ran").exists()
    with pytest.raises(MissingFileError, match="does not exist"):
        read_checkpoint(tmp_path / "nowhere.ckpt")


def test_a_checkpoint_without_its_digest_is_worth_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    write_checkpoint({"gaze_vlm": {}, "state_dict": {}}, path)
    sum_beside(path).unlink()
    with pytest.warns(UserWarning, match=r"best.ckpt has no best.ckpt.sha256 beside it"):
        read_checkpoint(path)
