import pytest

from gaze_vlm.cli import COMMANDS, TRAINING, _join_lists, _set_switches, main


def test_help_names_every_command(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert all(f"  {name} " in page for name in (*TRAINING, *COMMANDS))


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["train"]) == 2
    assert capsys.readouterr().err.startswith("gaze-vlm: no command 'train': choose from fit, ")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"gaze-vlm {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (["--seeds", "0", "1", "2", "--jobs", "2"], ["--seeds=[0,1,2]", "--jobs", "2"]),
        (["--jobs", "2", "--seeds", "0"], ["--jobs", "2", "--seeds=[0]"]),
        (["--seeds", "[0, 1]"], ["--seeds=[0, 1]"]),
        (["--jobs", "2"], ["--jobs", "2"]),
    ],
)
def test_lists_are_written_as_words(given: list[str], joined: list[str]) -> None:
    assert _join_lists(given, {"--seeds"}) == joined


@pytest.mark.parametrize(
    ("given", "set_"),
    [
        (["--dry_run"], ["--dry_run=true"]),
        (["--dry-run", "--workers", "2"], ["--dry_run=true", "--workers", "2"]),
        (["--dry_run", "false"], ["--dry_run", "false"]),
        (["--workers", "--dry_run=false"], ["--workers", "--dry_run=false"]),
        ([], []),
    ],
)
def test_switches_need_no_value(given: list[str], set_: list[str]) -> None:
    assert _set_switches(given, {"--dry_run"}) == set_
