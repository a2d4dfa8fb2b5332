"""`gaze-vlm demo`, which is `make demo`: three commands in one folder."""

from pathlib import Path
from typing import Any

import pytest

from gaze_vlm.cli import COMMANDS, main
from gaze_vlm.command_line.composition import read_yaml
from gaze_vlm.comparison import demo as module
from gaze_vlm.comparison.config import load_comparison

ROOT = Path(__file__).parents[2]


def test_every_step_runs_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    steps: list[tuple[Path, str, list[str]]] = []
    monkeypatch.setattr(
        module, "call_function", lambda function, options, command: steps.append((Path.cwd(), command, options))
    )
    assert main(["demo", "--output", "new/folder"]) == 0
    assert [(folder, command) for folder, command, _ in steps] == [
        (tmp_path / "new" / "folder", command) for command in ("kitchen", "prepare", "compare")
    ]
    assert Path.cwd() == tmp_path
    assert capsys.readouterr().err.count("$ gaze-vlm ") == 3
    assert "--participants 12" in " ".join(steps[0][2])


def test_each_step_is_its_command_and_makes_what_the_next_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, dict[str, Any]] = {}
    steps = []
    for function, line in module.STEPS:
        command = line.split()[0]
        assert COMMANDS[command][0] == f"{function.__module__}:{function.__name__}"
        steps.append((recording(function, given, command), line))
    monkeypatch.setattr(module, "STEPS", steps)
    module.demo()
    assert given["prepare"]["root"] == given["kitchen"]["root"]
    assert given["prepare"]["parameters"].observation_s == 4.0
    assert f"--data.store={given['prepare']['store']}" in load_comparison(given["compare"]["config"]).overrides


def recording(function: Any, given: dict[str, dict[str, Any]], command: str) -> Any:
    from functools import wraps

    @wraps(function)
    def record(**options: Any) -> None:
        given[command] = options

    return record


def test_make_demo_is_the_command() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ndemo:")[2].splitlines()[1:3]
    assert recipe == ["\t$(RUN) demo", ""]
    assert read_yaml(Path("lightning_configs/compare/demo.yaml"))["output"] == "results/demo/kitchen"
