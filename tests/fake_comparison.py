"""A comparison's YAML, and a launch that writes what its runs would leave, without training them."""

from pathlib import Path

import yaml

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.choice import Choice
from gaze_vlm.comparison.compare import run_comparison

CLIPS, ELSEWHERE = 24, 12


def write_config(**changed):
    values = {
        "dataset": "kitchen",
        "backbone": "tiny-llava",
        "runs": "runs/kitchen",
        "output": "results/kitchen",
        "configs": ["base.yaml"],
        "arms": {"control": "control.yaml", "gaze": "gaze.yaml"},
        "control": "control",
        "train_clips": 800,
        "curve": {"arms": ["control", "gaze"], "train_clips": [400, 800]},
        "before_seed": ["gaze-vlm", "backbone", "--output", "checkpoints/seed{seed}"],
        "overrides": ["--data.train_clips={train_clips}", "--checkpoint=checkpoints/seed{seed}"],
    }
    values |= changed
    text = yaml.safe_dump({key: value for key, value in values.items() if value != "absent"})
    Path("compare.yaml").write_text(text)


def compared(config, seeds, jobs, launch, **chosen):
    """The page of a comparison of which nothing is missing; its configs are not those of real runs."""
    page, missing = run_comparison(config, seeds, jobs, launch, None, accept, choice=Choice(**chosen))
    assert missing == []
    return page


def accept(comparison, missing):
    """Takes any run for one that will not fail."""


class Stub:
    """Writes the files of a run where the real commands would train it; a command with a part in `fail` fails."""

    def __init__(self, fail=(), elsewhere=ELSEWHERE):
        self.fail, self.elsewhere = fail, elsewhere
        self.calls = []

    def __call__(self, command, log, environment):
        self.calls.append((command, environment))
        with log.open("a") as stream:
            stream.write(f"{command[3] if command[3:] else command[0]}\nlast words\n")
        if set(command) & set(self.fail):
            return 3
        if command[:1] == ["make"]:
            return 0
        if command[3] == "fit":
            run = log.parent
            arm, _, size = run.parent.name.partition("-")
            options = dict(part.partition("=")[::2] for part in command)
            backbone = options.get("--run.backbone", "tiny-llava")
            dataset = options.get("--run.dataset", "kitchen")
            size = size or options.get("--data.train_clips", "800")
            seed = int(run.name.removeprefix("seed"))
            share = 0.5 if arm == "control" else 0.8
            right = rows(answers(CLIPS, share, seed), kl=1.0)
            write_run(run, right, arm, seed, int(size), backbone=backbone, dataset=dataset)
        if command[3] == "test":
            arm, seed = log.parents[3].name, int(log.parents[2].name.removeprefix("seed"))
            write_run(log.parent, rows(answers(self.elsewhere, 0.25 if arm == "control" else 0.5, seed)), arm, seed)
            (log.parent / "config.yaml").rename(log.parent / "test.yaml")  # as a test names it
        return 0

    @property
    def subcommands(self):
        return [command[3] for command, _ in self.calls]
