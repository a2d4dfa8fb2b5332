"""What `--help` shows: of a training our options first, and all of them on request; of the others examples too."""

import functools
import shlex
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from gaze_vlm.cli import COMMANDS, main
from gaze_vlm.command_line.examples import EXAMPLES, TRAINING
from gaze_vlm.shipped.configs import locate_config


def page_of(args: list[str], capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_the_help_of_a_training_is_two_screens_of_our_options_first(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = page_of(["fit", "--help"], capsys)
    lines = page.splitlines()
    assert len(lines) < 110
    assert all(len(line) <= 120 for line in lines)
    named = [line.split()[0] for line in lines if line.startswith("  --")]
    groups = [name[2:].partition(".")[0] for name in named if "." in name]
    assert list(dict.fromkeys(groups)) == ["run", "data", "model", "trainer"]
    assert {"--config", "--ckpt_path", "--data.gaze.sigma", "--model.optimizer", "--trainer.devices"} <= {*named}
    assert "--trainer.barebones" not in named
    assert not [name for name in named if name.endswith(".help") or name == "--data"]
    (store,) = (line for line in lines if line.startswith("  --data.store "))
    assert store.endswith(" (required)")
    (batch,) = (line for line in lines if line.startswith("  --data.batch_size "))
    assert batch.split() == ["--data.batch_size", "samples", "a", "process", "(32)"]
    assert page.endswith("\n".join(f"  {line}" for line in EXAMPLES["fit"]) + "\n\n")


def test_options_that_begin_alike_are_explained_in_full(capsys: pytest.CaptureFixture) -> None:
    page = page_of(["fit", "--help=trainer.b"], capsys)
    assert [line.split()[0] for line in page.splitlines() if line.startswith("  -")] == [
        "--trainer.benchmark",
        "--trainer.barebones",
    ]
    assert "default: False" in page


def test_no_option_begins_so(capsys: pytest.CaptureFixture) -> None:
    assert main(["fit", "--help=data.gase"]) == 2
    assert "there is no option --data.gase; did you mean --data.gaze" in capsys.readouterr().err


def test_examples_end_the_help_of_a_command(capsys: pytest.CaptureFixture) -> None:
    for command in ("kitchen", "doctor"):
        page = page_of([command, "--help"], capsys)
        assert page.rstrip().endswith("\n".join(["examples:", *(f"  {line}" for line in EXAMPLES[command])]))


@pytest.mark.parametrize("command", [*TRAINING, *COMMANDS])
def test_no_help_shows_what_is_suppressed(command: str, capsys: pytest.CaptureFixture) -> None:
    assert "SUPPRESS" not in page_of([command, "--help"], capsys)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_every_example_can_be_run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, command, *options = shlex.split(line)
    assert program == ("lightning" if command in TRAINING else "gaze-vlm")
    configs = [options[i + 1] for i, option in enumerate(options) if option == "--config"]
    assert all(locate_config(Path(file)).is_file() for file in configs if not file.startswith("runs/"))
    if command in TRAINING or command == "doctor":
        names = {option.partition("=")[0] for option in options if option.startswith("--")}
        assert names <= {"--config", "--ckpt_path", "--trainer.max_steps"}
        return
    module, name = COMMANDS[command][0].split(":")
    real, called = getattr(import_module(module), name), []

    @functools.wraps(real)
    def stand_in(**options: Any) -> None:
        called.append({*options})

    monkeypatch.setattr(import_module(module), name, stand_in)
    assert main([command, *options]) == 0
    assert called == [{*signature(real).parameters}]


def test_examples_are_of_commands() -> None:
    assert {*EXAMPLES} <= {*COMMANDS, *TRAINING}
