"""`gaze-vlm forgetting`: what a training cost of what the model knew before.

The questions are those of the kitchen's pretraining, about stills of fresh kitchens: no session, no action, no gaze.
They are asked of the model as it was pretrained, without the gaze block: its own weights are measured. A frozen model
forgets nothing.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.loading import chosen_device
from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import in_csv, in_markdown
from gaze_vlm.metrics.texts import exact_match
from gaze_vlm.output import check_output_folder, write_csv
from gaze_vlm.pretraining.asking import ask, put_crops
from gaze_vlm.pretraining.questions import CAPTION, CROP, TOOL
from gaze_vlm.pretraining.stills import Still, render_stills
from gaze_vlm.progress import track
from gaze_vlm.ranges import at_least, is_seed
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.configured import check_finished, configure, load_run

KINDS = {CROP: "object", TOOL: "tool"}  # any other question asks for a colour
OUTPUT = Path("results/forgetting.csv")
FRESH = 2**31  # added to the seed: no pretraining draws these stills
FRAMES = 2  # of a clip
AT_ONCE = 25  # clips

Answered = dict[str, list[float]]
"""By kind of question, whether each answer is right."""


@dataclass(frozen=True)
class Remembered:
    """Shares of right answers to one kind of question, before and after a training.

    They are points of a hundred.
    """

    run: Path
    arm: str
    seed: int
    question: str
    asked: int
    before: float
    after: float


def forgetting(runs: list[Path], output: Path = OUTPUT, clips: int = 200, seed: int = 0) -> Path:
    """Ask runs, and what they began with, the questions of the pretraining.

    What they began with are the kitchen's checkpoints.

    Args:
        runs: directories of finished runs whose checkpoint was pretrained on the kitchen's stills.
        output: CSV to write, a row a run and kind of question.
        clips: kitchens to ask about, each for the name of a crop and about a whole still.
        seed: draws kitchens and questions, the same for all runs; a pretraining with this seed has drawn others.

    Raises:
        InputError: no run is given, or one is not finished.
    """
    at_least(1, clips=clips)
    is_seed(seed)
    if not runs:
        raise InputError("no run to ask: give --runs runs/kitchen/gaze/seed0 runs/kitchen/control/seed0")
    check_output_folder(output.parent)
    for run in runs:
        check_finished(run)
    shown = render_stills(clips, FRAMES, FRESH + seed)
    of_checkpoint: dict[str, Answered] = {}
    rows: list[Remembered] = []
    for run in track(runs, "asking", len(runs)):
        trained = load_run(run)
        start = trained.model.backbone.options.checkpoint
        if start not in of_checkpoint:
            fresh = configure([f"--config={RunDirectory(run).config}"]).model
            fresh.configure_model()
            of_checkpoint[start] = ask_about(fresh.backbone, shown, seed)
        after = ask_about(trained.model.backbone, shown, seed)
        for kind, before in of_checkpoint[start].items():
            shares = (round(100 * float(np.mean(right)), 2) for right in (before, after[kind]))
            options = trained.options
            rows.append(Remembered(run, options.arm, trained.datamodule.seed, kind, len(before), *shares))
    write_remembered(rows, output)
    print("\n".join(markdown_lines(rows)))
    return output


@torch.no_grad()
def ask_about(backbone: Backbone, clips: Sequence[list[Still]], seed: int) -> Answered:
    """Ask a loaded model about clips of stills, and compare its answers with the truth.

    Its block is replaced: the model reads the mean token of a crop of each still, or all patch tokens. A model that
    cannot read one token a frame is asked about whole stills alone.
    """
    put_crops(backbone)
    backbone.to(chosen_device()).eval()
    collator, rng = backbone.collator(), np.random.default_rng(seed)
    right: Answered = {}
    for crops in (False,) if backbone.has_deepstack else (True, False):
        for first in range(0, len(clips), AT_ONCE):
            batch, questions = ask(backbone, collator, list(clips[first : first + AT_ONCE]), crops, rng)
            for (question, truth), answer in zip(questions, backbone.generate(batch), strict=True):
                if question == CAPTION:  # longer than a training's answers may be
                    continue
                right.setdefault(KINDS.get(question, "colour"), []).append(exact_match(answer, truth))
    return right


def write_remembered(rows: Sequence[Remembered], file: Path) -> None:
    """Write a row a run and kind of question."""
    inert = (replace(row, run=Path(in_csv(str(row.run))), arm=in_csv(row.arm)) for row in rows)
    write_csv(file, [field.name for field in fields(Remembered)], map(astuple, inert))


def markdown_lines(rows: Sequence[Remembered]) -> list[str]:
    """Write a Markdown table: each arm's means over its runs."""
    lines = ["| arm | question | runs | asked | before | after | difference |", "|---|---|---:|---:|---:|---:|---:|"]
    for arm, kind in dict.fromkeys((row.arm, row.question) for row in rows):
        of_arm = [row for row in rows if (row.arm, row.question) == (arm, kind)]
        before, after = (float(np.mean([getattr(row, when) for row in of_arm])) for when in ("before", "after"))
        counts = f"{len(of_arm)} | {of_arm[0].asked}"
        lines.append(
            f"| {in_markdown(arm)} | {kind} | {counts} | {before:.1f} | {after:.1f} | {after - before:+z.1f} |"
        )
    return lines
