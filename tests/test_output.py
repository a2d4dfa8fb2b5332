"""An output that cannot be written is one line, before the work begins where that can be known."""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from gaze_vlm import output
from gaze_vlm.cli import main
from gaze_vlm.errors import OutputError
from gaze_vlm.output import (
    check_output_file,
    check_output_folder,
    draft_folder,
    draft_name,
    draft_of,
    drafts_of,
    remove_drafts,
    write_atomically,
    writing,
)
from training_files import ROOT, arguments


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """Where a folder is needed: as root, permissions bind nothing."""
    path = tmp_path / "file"
    path.write_text("")
    return path


def commands(place: Path, raw: Path, store: Path, checkpoint: Path) -> dict[str, list[str]]:
    """Each command with an output under `place`."""
    preparation = ROOT / "lightning_configs" / "kitchen" / "preparation.yaml"
    return {
        "kitchen": [f"--root={place}", "--participants=1"],
        "quality": [f"--store={store}", f"--output={place / 'page.html'}"],
        "report": ["--config=nowhere.yaml", f"--output={place / 'page.html'}"],
        "attention": ["--runs", str(place), f"--output={place / 'picture.png'}"],
        "look": ["--model=none", "--prompt=?", "--images=none", f"--output={place / 'page.html'}"],
        "export": [f"--run={store}", f"--output={place}"],
        "backbone": [f"--output={place}"],
        "small-model": [f"--output={place}"],
        "narrator": [f"--output={place}", "--vision=vit_tiny_patch16_224", "--language=none"],
        "doctor": arguments(place / "run", checkpoint, store),
        "fit": arguments(place / "run", checkpoint, store),
        "prepare": [f"--config={preparation}", f"--root={raw}", f"--store={place}"],
    }


NAMES = list(commands(Path(), Path(), Path(), Path()))


@pytest.mark.parametrize("command", NAMES)
def test_a_file_where_a_folder_is_needed(
    command: str, a_file: Path, raw_root: Path, prepared: Path, tiny_llava: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main([command, *commands(a_file, raw_root, prepared, tiny_llava)[command]]) == 1
    captured = capsys.readouterr()
    said = captured.out if command == "doctor" else captured.err
    assert f"cannot be a folder, for {a_file} is a file: choose another place" in said
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("command", NAMES)
def test_a_read_only_place(
    command: str,
    tmp_path: Path,
    raw_root: Path,
    prepared: Path,
    tiny_llava: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output, "TemporaryFile", read_only)
    assert main([command, *commands(tmp_path / "new", raw_root, prepared, tiny_llava)[command]]) == 1
    captured = capsys.readouterr()
    said = captured.out if command == "doctor" else captured.err
    assert "cannot be written (Read-only file system): make room, or fix the permissions" in said
    assert "Traceback" not in captured.err
    assert not (tmp_path / "new").exists()


def read_only(**_: Any) -> None:
    """As a file system that is mounted so."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_full_disk_names_the_file() -> None:
    full = Path("/dev/full")
    with (
        pytest.raises(OutputError, match=r"/dev/full cannot be written \(No space left on device\): make room"),
        writing(full),
    ):
        full.write_text("b" * 10_000)
    with (
        pytest.raises(OutputError, match=r"model cannot be written \(I/O error: No space left"),
        writing(Path("model")),
    ):
        raise SafetensorError("I/O error: No space left on device (os error 28)")


def test_a_full_disk_that_names_no_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def full(args: list[str]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gaze_vlm.doctor.command.doctor", full)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "gaze-vlm doctor: error: No space left on device: make room, and run the same command again\n"
    )


@pytest.mark.parametrize("refuses_folders", [False, True])
def test_a_file_is_on_disk_before_its_name_and_then_its_name(
    refuses_folders: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a machine that loses its power may keep the new name of an empty file."""
    done, fsync, replace = [], os.fsync, Path.replace

    def recorded_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if is_folder else f"file of {os.fstat(descriptor).st_size}")
        if is_folder and refuses_folders:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    def recorded_replace(draft: Path, path: Path) -> Path:
        done.append("replace")
        return replace(draft, path)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    write_atomically(tmp_path / "a.txt", "text")
    assert done == ["file of 4", "replace", "folder"]
    assert (tmp_path / "a.txt").read_text() == "text"


def test_what_is_fine_leaves_nothing(tmp_path: Path) -> None:
    check_output_folder(tmp_path / "a" / "b")
    check_output_file(tmp_path / "a" / "b.png")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="is a folder: name a file in it"):
        check_output_file(tmp_path)


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.txt"
    write_atomically(file, "first")
    with pytest.raises(IsADirectoryError), draft_of(file) as draft:
        draft.write_text(tmp_path.read_text())
    assert file.read_text() == "first"
    assert list(file.parent.iterdir()) == [file]
    draft_name(file).write_text("of a killed process")
    remove_drafts(tmp_path)
    assert list(file.parent.iterdir()) == [file]


def test_hidden_files_of_other_programs_stay(tmp_path: Path) -> None:
    """Such as those that Syncthing writes while it copies."""
    (tmp_path / ".cache.tmp").mkdir()
    others = [tmp_path / ".cache.tmp" / "text.txt", tmp_path / ".syncthing.a.mp4.tmp", tmp_path / ".a.txt.1.tmp"]
    for other in others:
        other.touch()
    (tmp_path / ".folder.1.unfinished").mkdir()
    remove_drafts(tmp_path)
    assert drafts_of(tmp_path / "a.txt") == []
    with draft_folder(tmp_path / "folder"):
        pass
    assert all(other.exists() for other in (*others, tmp_path / ".folder.1.unfinished"))


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with pytest.raises(IsADirectoryError), draft_folder(folder) as draft:
        (draft / "file.txt").write_text(tmp_path.read_text())
    assert list(folder.parent.iterdir()) == []
    (folder.parent / f".folder.{'0' * 32}.unfinished").mkdir()  # of a killed process
    folder.mkdir()
    with draft_folder(folder) as draft:
        (draft / "file.txt").write_text("whole")
        assert list(folder.iterdir()) == []
    assert [path.relative_to(folder.parent) for path in folder.parent.rglob("*.txt")] == [Path("folder/file.txt")]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["a" * 255, "й" * 127, "[a*].txt", "a.txt"])
def test_a_file_of_any_name_is_written_and_its_drafts_are_found(name: str, tmp_path: Path) -> None:
    file, other = tmp_path / name, tmp_path / f"{name[:100]}.mp4"
    write_atomically(file, "first")
    assert file.read_text() == "first"
    left = draft_name(file)
    for draft in (left, draft_name(other)):
        draft.touch()
    assert drafts_of(file) == [left]


def test_drafts_of_one_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    with draft_of(file) as first, draft_of(file) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert file.read_text() == "first"  # the outer one ends last
    assert list(tmp_path.iterdir()) == [file]
