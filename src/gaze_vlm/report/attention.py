"""A picture to look at: frames of test clips with the wearer's gaze, and where each arm looked."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from einops import rearrange

from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.errors import InputError
from gaze_vlm.output import check_output_file
from gaze_vlm.ranges import at_least, is_seed
from gaze_vlm.report.attention_figure import ClipAttention, draw_attention
from gaze_vlm.report.figures import KINDS, save
from gaze_vlm.training.configured import load_run
from gaze_vlm.training.lightning_cli import GazeCLI

COUNT = 6
NO_ATTENTION = "this arm has no attention to picture; choose one with a block, vit_layers or language_layers"


def picture_attention(
    runs: list[Path],
    output: Path,
    clips: list[str] | None = None,
    frame: int = -1,
    count: int = COUNT,
    seed: int = 0,
) -> Path:
    """Picture test clips: gaze, its distribution, each run's attention and answer.

    All distributions share one scale. Each run is shown a clip as its own test shows it, with blank or drawn-on frames
    where it has these; frames and gaze of the picture are those of the first. Where a model takes several frames as one
    group, its attention is that of the frame's group.

    Args:
        runs: run directories of arms with attention, in the order of the columns.
        output: the picture to write: PNG, JPEG, PDF or SVG by its name.
        clips: ids of test clips, in the order of the rows; by default some are drawn.
        frame: which frame of a clip; 0 is its first, -1 its last.
        count: how many clips are drawn, one a session.
        seed: draws the clips.

    Raises:
        InputError: an output of another kind, a clip or a frame that is not there, or a run without attention.
        MissingFileError: a run without its config or checkpoint.
    """
    at_least(1, count=count, runs=len(runs))
    is_seed(seed)
    check_output_file(output, KINDS)
    attentions: list[ClipAttention] = []
    answers: list[list[str]] = []
    chosen: list[Clip] = []
    for run in runs:
        cli = load_run(run)
        dataset = cli.datamodule.tested()
        own = [dataset[i] for i in (named_clips(dataset, clips) if clips else drawn_clips(dataset, count, seed))]
        clips = [clip.clip_id for clip in own]  # of the other runs too, each as that run was shown it
        check_frame(frame, own)
        chosen = chosen or own
        batch = cli.model.backbone.collator()(own)
        found = attention_of(cli, batch, run)
        if found is None:
            raise InputError(f"{run}: {NO_ATTENTION}")
        attentions.append(found)
        with torch.no_grad():
            answers.append(cli.model.backbone.generate(batch))
    figure = draw_attention(chosen, frame, attentions, answers)
    save(figure, output)
    return output


def named_clips(dataset: ClipDataset, ids: Sequence[str]) -> list[int]:
    """Return samples of clips, by the ids of the clips.

    Raises:
        InputError: an id that no clip has.
    """
    of_id = {dataset.records[position].clip_id: index for index, position in _asked_once(dataset)}
    for clip_id in ids:
        if clip_id not in of_id:
            near = get_close_matches(clip_id, of_id, n=3, cutoff=0) or ["none"]
            raise InputError(f"clips: no test clip is called {clip_id!r}: there are {', '.join(near)} and others")
    return [of_id[clip_id] for clip_id in ids]


def drawn_clips(dataset: ClipDataset, count: int, seed: int) -> list[int]:
    """Draw samples of clips, each of another session."""
    of_session: dict[str, list[int]] = {}
    for index, position in _asked_once(dataset):
        of_session.setdefault(dataset.records[position].session, []).append(index)
    draw = np.random.default_rng(seed)
    sessions = draw.permutation(sorted(of_session))[:count]
    return [int(draw.choice(of_session[session])) for session in sessions]


def check_frame(frame: int, clips: Sequence[Clip]) -> None:
    """Refuse a frame that a clip does not have.

    Raises:
        InputError: a clip lacks it.
    """
    for clip in clips:
        frames = len(clip.frame_times_s)
        if not -frames <= frame < frames:
            raise InputError(
                f"frame is {frame}, clip {clip.clip_id} has {frames}: give 0 to {frames - 1}, or -1 to {-frames} from "
                "the last"
            )


@torch.no_grad()
def attention_of(cli: GazeCLI, batch: Batch, run: Path) -> ClipAttention | None:
    """Return a run's attention over some clips; None for an arm without attention.

    Gaze is on the grid of its model.
    """
    backbone = cli.model.backbone
    attention = backbone(batch).attention
    if attention is None:
        return None
    collator = backbone.collator()
    on_grid = "clip group (row column) -> clip group row column"
    rows = collator.grid.rows
    return ClipAttention(
        arm=cli.options.arm,
        run=run,
        attention=rearrange(attention.head_mean().exp(), on_grid, row=rows).numpy(),
        gaze=rearrange(batch.gaze, on_grid, row=rows).numpy(),
        valid=batch.valid.numpy(),
        covered_view=collator.covered_view,
        frames_per_group=collator.frames_per_group,
    )


def _asked_once(dataset: ClipDataset) -> list[tuple[int, int]]:
    """Samples of the first task, each with the position of its record."""
    first = next(iter(dataset.tasks))
    return [(index, position) for index, (position, task) in enumerate(dataset.samples) if task == first]
