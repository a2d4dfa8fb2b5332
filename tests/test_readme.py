"""The README's "Use it" can be followed: every option parses, and what a line reads, an earlier one made."""

import functools
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gaze_vlm.cli import COMMANDS, main
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.planned_runs import before_seed_command, fit_options, planned_runs
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.shipped.checkpoints import shipped_checkpoints
from gaze_vlm.training.configured import ConfiguredTraining, configure
from training_files import ROOT


def commands() -> list[str]:
    """Lines of the first block of code under "Use it", without their comments."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Use it\n")[1]
    block = re.match(r"\n((?: {4}.*\n)+)", section)
    assert block is not None
    return [line.partition("  #")[0].strip() for line in block[1].splitlines()]


class Follower:
    """Does nothing but parse each command, and keeps what it would have made."""

    def __init__(self) -> None:
        self.made: set[Path] = set()

    def reads(self, path: Path | str) -> None:
        assert Path(path) in self.made or (ROOT / path).is_file(), f"{path} is read, and no earlier line made it"

    def trains(self, fit: ConfiguredTraining) -> None:
        self.reads(fit.datamodule.store_path)
        checkpoint = fit.model.backbone.options.checkpoint
        assert checkpoint in shipped_checkpoints() or Path(checkpoint) in self.made
        self.finishes(fit.options.dir)

    def finishes(self, run: Path) -> None:
        self.made |= {run, RunDirectory(run).config, RunDirectory(run).best}

    def kitchen(self, root: Path, **_: Any) -> None:
        self.made |= {root, root / "verb_idx.txt", root / "noun_idx.txt"}

    def prepare(self, root: Path, store: Path, reader: dict[str, Any] | None, **_: Any) -> None:
        self.reads(root)
        for value in (reader or {}).values():
            if "/" in str(value):
                self.reads(value)
        self.made.add(store)

    def compare(self, config: Path, seeds: list[int], **_: Any) -> None:
        comparison = load_comparison(config)
        for store in comparison.also_test.values():
            self.reads(store)
        wanted = planned_runs(comparison, seeds)
        commands = [before_seed_command(comparison, run) for run in wanted]
        self.made |= {Path(command[command.index("--output") + 1]) for command in commands if command}
        for run in {run.arm: run for run in wanted}.values():
            self.trains(configure(fit_options(run, comparison)))
        for run in wanted:
            self.finishes(run.directory.path)

    def report(self, config: Path, **_: Any) -> None:
        comparison = load_comparison(config)
        for run in planned_runs(comparison, comparison.seeds):
            self.reads(run.directory.path)

    def attention(self, runs: list[Path], **_: Any) -> None:
        for run in runs:
            self.reads(run)

    alignment = attention

    def look(self, model: str, video: Path, **_: Any) -> None:
        self.reads(model)
        self.reads(video.parents[1])

    def caption(self, model: str, videos: Path, **_: Any) -> None:
        self.reads(model)
        self.reads(videos.parent)


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> Iterator[Follower]:
    monkeypatch.chdir(ROOT)
    follower = Follower()
    for command in ("kitchen", "prepare", "compare", "report", "attention", "alignment", "look", "caption"):
        module, name = COMMANDS[command][0].split(":")
        real = getattr(import_module(module), name)
        followed = getattr(follower, command)
        stand_in = functools.wraps(real)(lambda followed=followed, **options: followed(**options))
        monkeypatch.setattr(import_module(module), name, stand_in)
    return follower


def test_the_readme_can_be_followed_line_by_line(follower: Follower) -> None:
    lines = commands()
    assert lines[:2] == ["make install", ". .venv/bin/activate"]
    assert len(lines) > 6
    for line in lines[2:]:
        program, command, *options = shlex.split(line)
        assert program in ("gaze-vlm", "lightning")
        if command == "fit":
            follower.trains(configure(options))
        elif command == "test":
            assert options[::2] == ["--config", "--ckpt_path"]
            for path in options[1::2]:
                follower.reads(path)
        else:
            assert main([command, *options]) == 0, line


def test_make_table_prepares_what_the_readme_does() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(SEEDS)", "0 1 2")
    assert "\nSEEDS ?= 0 1 2\n" in recipe
    for line in commands():
        if line.startswith(("gaze-vlm kitchen", "gaze-vlm prepare", "gaze-vlm compare")):
            assert f"\t$(RUN) {line.removeprefix('gaze-vlm ')}\n" in recipe
