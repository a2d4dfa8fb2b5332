import os
import re
import signal
import sys
from collections.abc import Callable

import pytest
from torch.utils.data import DataLoader, Dataset

from gaze_vlm.cli import COMMANDS, TRAINING, main
from gaze_vlm.command_line.arguments import join_lists, name_nothing, set_switches
from gaze_vlm.errors import InputError


def test_help_names_every_command(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert all(f"  {name} " in page for name in (*TRAINING, *COMMANDS))


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["train"]) == 2
    assert capsys.readouterr().err.startswith("gaze-vlm: no command 'train': choose from fit, ")


HELP = [
    *([command, "--help"] for command in COMMANDS if command != "doctor"),
    *([command, "--help=all"] for command in TRAINING),
    ["doctor", "--help=all"],
    *(["fit", f"--model.backbone.help=gaze_vlm.backbones.{name}"] for name in ("Llava", "QwenVL", "Narrator")),
    ["fit", "--model.regularizer.help=gaze_vlm.attention.GazeRegularizer"],
]


@pytest.mark.parametrize("args", HELP, ids=" ".join)
def test_every_option_has_help(args: list[str], capsys: pytest.CaptureFixture) -> None:
    """What it does, and its type, choices and default."""
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 0
    page = capsys.readouterr().out.replace(" [options]", "", 1)
    if args[1] in ("--help", "--help=all"):
        assert f"gaze-vlm {args[0]}" in page
    options = re.split(r"(?m)^  (?=-)", page)[1:]
    assert len(options) > 1
    for option in (" ".join(option.split()) for option in options):
        name, _, rest = option.partition(" ")
        if (
            name.startswith("--trainer")
            or ".help" in name
            or " CONFIG" in option
            or name in ("--print_config", "-h", "-h,", "-c,")
        ):
            continue  # Lightning's and the parser's own
        assert re.search(r"\((required, )?type: .*\)", rest), option
        assert not re.match(r"(\S+ |\{.*?\} )?\(", rest), f"{option} says nothing of what it does"


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (["--seeds", "0", "1", "2", "--jobs", "2"], ["--seeds=[0,1,2]", "--jobs", "2"]),
        (["--jobs", "2", "--seeds", "0"], ["--jobs", "2", "--seeds=[0]"]),
        (["--seeds", "[0, 1]"], ["--seeds=[0, 1]"]),
        (["--jobs", "2"], ["--jobs", "2"]),
        (["--seeds=0", "--jobs", "2", "--seeds", "1", "2"], ["--seeds=[0,1,2]", "--jobs", "2"]),
    ],
)
def test_lists_are_written_as_words(given: list[str], joined: list[str]) -> None:
    assert join_lists(given, {"--seeds"}, {"--seeds"}) == joined


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (["What, now?", "a: b"], '["What, now?","a: b"]'),
        (["yes", "null", "1.5"], '["yes","null","1.5"]'),
        (["[what is this", "a]"], '["[what is this","a]"]'),
        (["[a, b]"], "[a, b]"),
    ],
)
def test_texts_of_a_list_stay_texts(given: list[str], joined: str) -> None:
    assert join_lists(["--prompt", *given], {"--prompt"}, set()) == [f"--prompt={joined}"]


def test_nothing_may_be_written_as_python_does() -> None:
    given = ["--limit", "None", "--limit=None", "--answer", "None", "None", "--answer=None"]
    written = ["--limit", "null", "--limit=null", "--answer", "None", "None", "--answer=None"]
    assert name_nothing(given, {"--limit"}) == written
    assert name_nothing(["--data.features=None", "--config", "a"]) == ["--data.features=null", "--config", "a"]


@pytest.mark.parametrize(
    ("given", "set_"),
    [
        (["--dry_run"], ["--dry_run=true"]),
        (["--dry_run", "--workers", "2"], ["--dry_run=true", "--workers", "2"]),
        (["--dry_run", "false"], ["--dry_run", "false"]),
        (["--workers", "--dry_run=false"], ["--workers", "--dry_run=false"]),
        ([], []),
    ],
)
def test_switches_need_no_value(given: list[str], set_: list[str]) -> None:
    assert set_switches(given, {"--dry_run"}) == set_


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (InputError("a.csv: no column t_s"), "a.csv: no column t_s"),
        (OSError(28, "No space left on device", "b.csv"), "b.csv: No space left on device"),
    ],
)
def test_an_error_of_the_users_is_one_line(
    error: Exception, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(args: list[str]) -> None:
        try:
            raise error
        except type(error) as cause:
            raise TypeError("as a parser wraps it") from cause

    monkeypatch.setattr("gaze_vlm.doctor.command.doctor", fail)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == f"gaze-vlm doctor: error: {shown}\n"


def interrupt() -> None:
    raise KeyboardInterrupt


def interrupt_as_lightning() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


@pytest.mark.parametrize("stop", [interrupt, interrupt_as_lightning])
def test_ctrl_c_is_status_130(
    stop: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("gaze_vlm.training.lightning_cli.train", lambda args: stop())
    assert main(["fit"]) == 130
    assert capsys.readouterr().err == "gaze-vlm fit: interrupted\n"


def test_sigterm_cleans_up_and_is_status_143(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """Of a command that does not go on from what it left; test_kill.py has one that does."""

    def write(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # a second one ends it at once
            print("cleaned up")

    monkeypatch.setattr("gaze_vlm.command_line.function_command.call_function", write)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert main(["completion"]) == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("cleaned up\n", "gaze-vlm completion: stopped by SIGTERM\n")


def test_a_bug_on_the_way_from_a_users_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(args: list[str]) -> None:
        try:
            raise InputError("a.csv: no column t_s")
        except InputError:
            {}["a bug"]

    monkeypatch.setattr("gaze_vlm.doctor.command.doctor", fail)
    with pytest.raises(KeyError, match="a bug"):
        main(["doctor"])


class Failing(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise InputError("a.mp4: frame 3 is damaged")


def test_an_error_in_a_loaders_process_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(args: list[str]) -> None:
        next(iter(DataLoader(Failing(), num_workers=1)))

    monkeypatch.setattr("gaze_vlm.training.lightning_cli.train", fail)
    assert main(["fit"]) == 1
    assert capsys.readouterr().err == "gaze-vlm fit: error: a.mp4: frame 3 is damaged\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(args: list[str]) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("gaze_vlm.doctor.command.doctor", fail)
    with pytest.raises(ValueError, match="a bug"):
        main(["doctor"])
