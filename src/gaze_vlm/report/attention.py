"""A picture to look at: frames of test clips with the wearer's gaze, and where each arm looked."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float
from matplotlib.figure import Figure

from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.errors import InputError
from gaze_vlm.output import check_output_file, writing
from gaze_vlm.ranges import at_least, is_seed
from gaze_vlm.training import GazeCLI, load_run

CLIPS = 6


@dataclass
class Looked:
    """What one run did with some clips: its arm, answers, and head-mean attention [clip, frame, row, column]."""

    arm: str
    answers: list[str]
    attention: Float[np.ndarray, "clip frame row column"]


def picture_attention(runs: list[Path], output: Path, clips: int = CLIPS, seed: int = 0) -> Path:
    """Picture the last frame of test clips with gaze, beside the attention and the answer of each run: for the step
    that ends with this frame, where a model takes several frames as one.

    Args:
        runs: run directories of arms with attention, in the order of the columns.
        output: the picture to write, PNG or JPEG by its name.
        clips: how many test clips, one a session.
        seed: draws the clips.

    Raises:
        ValueError: a run has no config or no checkpoint, or its arm has no attention.
    """
    at_least(1, clips=clips)
    is_seed(seed)
    check_output_file(output)
    looked: list[Looked] = []
    batch: Batch | None = None
    for run in runs:
        cli = load_run(run)
        cli.datamodule.setup("test")
        if batch is None:
            batch = some_clips(cli, clips, seed)
        looked.append(look(cli, batch, run))
    assert batch is not None
    figure = draw(batch, looked)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=110)
    print(f"wrote {output}")
    return output


def some_clips(cli: GazeCLI, clips: int, seed: int) -> Batch:
    """Test clips of different videos, with the question of what happens now."""
    dataset = cli.datamodule.datasets["test"]
    of_video = {
        dataset.records[position].video_id: index
        for index, (position, task) in enumerate(dataset.samples)
        if task == "activity" and index % 3 == seed % 3
    }
    videos = np.random.default_rng(seed).permutation(sorted(of_video))[:clips]
    return cli.model.backbone.collator()([dataset[of_video[video]] for video in videos])


@torch.no_grad()
def look(cli: GazeCLI, batch: Batch, run: Path) -> Looked:
    """Attention and answers of a run."""
    backbone = cli.model.backbone
    attention = backbone(batch).attention
    if attention is None:
        raise InputError(
            f"{run}: this arm has no attention to picture; choose one with a block, vit_layers or language_layers"
        )
    maps = rearrange(
        attention.head_mean().exp(), "clip frame (row column) -> clip frame row column", row=backbone.grid.rows
    )
    return Looked(cli.options.arm, backbone.generate(batch.prompts), maps.numpy())


def draw(batch: Batch, looked: list[Looked]) -> Figure:
    """A row a clip: the last frame with its gaze points, the gaze on the grid, then each arm's attention."""
    titles = ["gaze", "gaze distribution", *(one.arm for one in looked)]
    figure = Figure(figsize=(3.1 * len(titles), 2.75 * len(batch)), layout="constrained")
    axes = figure.subplots(len(batch), len(titles), squeeze=False)
    rows = looked[0].attention.shape[2]
    for i, clip in enumerate(batch.clips):
        frame = rearrange(clip.frames[-1].numpy(), "channel y x -> y x channel")
        gaze = rearrange(batch.gaze[i, -1].numpy(), "(row column) -> row column", row=rows)
        maps = [None, gaze, *(one.attention[i, -1] for one in looked)]
        below = [f"“{clip.target}”", "", *(one.answers[i] for one in looked)]
        for axis, map_, title, text in zip(axes[i], maps, titles, below, strict=True):
            show(axis, frame, map_)
            axis.set_title(title if i == 0 else "", fontsize=12)
            right = text in ("", clip.target) or text.startswith("“")
            axis.set_xlabel(text, fontsize=10, color="black" if right else "firebrick")
        counted = clip.gaze.weight[-1] > 0
        x, y = (clip.gaze.xy[-1][counted] * torch.tensor([frame.shape[1], frame.shape[0]]) - 0.5).T
        axes[i][0].scatter(x, y, s=28, facecolor="magenta", edgecolor="white", linewidth=0.8)
    return figure


def show(axis, frame: np.ndarray, map_: np.ndarray | None) -> None:  # type: ignore[no-untyped-def]
    """A frame; with a map, dimmed where the map has little, each cell against the highest."""
    height, width = frame.shape[:2]
    if map_ is None:
        axis.imshow(frame)
    else:
        grey = reduce(frame.astype(float), "y x channel -> y x 1", "mean").repeat(3, 2) / 255
        axis.imshow(0.25 + 0.5 * grey, vmin=0, vmax=1)
        axis.imshow(
            map_, extent=(-0.5, width - 0.5, height - 0.5, -0.5), cmap="magma", alpha=0.55, vmin=0, vmax=map_.max()
        )
    axis.set_xticks([])
    axis.set_yticks([])
