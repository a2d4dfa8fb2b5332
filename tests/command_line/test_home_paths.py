"""Paths in a home folder, written with `~`, where no shell expands them."""

from pathlib import Path

import pytest

from gaze_vlm.command_line.function_command import function_parser


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
