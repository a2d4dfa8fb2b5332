"""Paths in a home folder, written with `~`, where no shell expands them."""

from pathlib import Path

import pytest
from PIL import Image

from egtea_files import texture, write_video
from gaze_vlm.cli import main
from gaze_vlm.command_line.function_command import function_parser
from gaze_vlm.errors import InputError
from gaze_vlm.home import home_path


def _read(root: Path, more: list[Path] | None = None) -> None:
    """Take paths.

    Args:
        root: one.
        more: several.
    """


def test_a_path_in_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It made a folder called `~` where the command ran."""
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = function_parser(_read, "read", "")
    file = tmp_path / "read.yaml"
    file.write_text("root: ~/data\nmore: [~/a, b/~, ~no-such-user/c]\n")
    read = parser.parse_args([f"--config={file}"])
    assert (read.root, read.more) == (tmp_path / "data", [tmp_path / "a", Path("b/~"), Path("~no-such-user/c")])
    assert parser.parse_args(["--root=~/x"]).root == tmp_path / "x"


@pytest.mark.parametrize(
    "command", ["caption --videos=. --output=a.jsonl", "look --images=a.png --prompt=what --output=a.html"]
)
def test_a_model_in_a_home_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", [texture(0)] * 24)
    Image.fromarray(texture(0)).save(tmp_path / "a.png")
    assert main([*command.split(), "--model=~/models/none"]) == 1
    assert f"{tmp_path}/models/none" in capsys.readouterr().err


def test_a_user_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is run by a number: the folder called `~` was made where the command ran."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 5)  # of nobody
    with pytest.raises(InputError, match=r"^~/x: this user has no home folder; set HOME, or name the folder without ~"):
        function_parser(_read, "read", "").parse_args(["--root=~/x"])
    assert home_path("~no-such-user/c") == Path("~no-such-user/c")


@pytest.mark.parametrize("value", [None, ["a.yaml", "b.yaml"]])
def test_what_is_no_text_is_no_path(value: object) -> None:
    """An option may be a path or nothing, or files: as text, they became names of files, `None` among them."""
    with pytest.raises(TypeError):
        home_path(value)  # type: ignore[arg-type]
