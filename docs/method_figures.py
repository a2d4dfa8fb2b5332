"""Draw the figures of docs/method.md from `make demo`'s control and gaze arm: `python docs/method_figures.py`.

The clip is a typical one: of one test clip a session, that whose KL the pull lowers by the middle amount.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from matplotlib.figure import Figure

from gaze_vlm.attention import gaze_divergence
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.gaze.overlay import density, one_scale
from gaze_vlm.gaze.view import Grid
from gaze_vlm.report.attention import attention_of, drawn_clips
from gaze_vlm.report.attention_figure import ClipAttention, show_frame, show_points
from gaze_vlm.report.figures import save
from gaze_vlm.training.configured import load_run

DOCS = Path(__file__).parent
RUNS = [Path("runs/demo/control/seed0"), Path("runs/demo/gaze/seed0")]
FINE = 200  # cells a side of the grid that the mixture is drawn on


def kl(found: ClipAttention, clip: int, frame: int) -> float:
    """Return the KL that the regularizer computes of a frame, in nats: of the mean over heads."""
    attention, gaze = (torch.from_numpy(one[clip, frame]).flatten() for one in (found.attention, found.gaze))
    return float(gaze_divergence(attention.log(), gaze))


def typical(clips: Sequence[Clip], control: ClipAttention, gaze: ClipAttention, frame: int) -> int:
    """Return the clip whose KL the pull lowers by the middle amount, of those with valid gaze."""
    valid = [clip for clip in range(len(clips)) if control.valid[clip, frame]]
    lowered = sorted(valid, key=lambda clip: kl(control, clip, frame) - kl(gaze, clip, frame))
    return lowered[len(lowered) // 2]


def row(panels: int) -> tuple[Figure, np.ndarray]:
    """Return an empty figure of some panels beside each other."""
    figure = Figure(figsize=(2.9 * panels, 2.75), layout="constrained")
    return figure, figure.subplots(1, panels)


def draw_target(clip: Clip, frame: int, found: ClipAttention, index: int) -> Figure:
    """Draw gaze points, their mixture, and its mass in each patch."""
    figure, (points, mixture, patches) = row(3)
    image = rearrange(clip.frames[frame].numpy(), "channel y x -> y x channel")  # type: ignore[index]
    fine, _ = clip.gaze.on(Grid(FINE, FINE))
    drawn = density(rearrange(fine[frame].numpy(), "(row column) -> row column", row=FINE))
    mass = density(found.gaze[index, frame])
    norm = one_scale([drawn, mass])
    show_points(points, image, clip, frame)
    show_frame(mixture, image, drawn, norm=norm)
    show_frame(patches, image, mass, found.covered_view, norm)
    for axis, title in zip((points, mixture, patches), ("gaze points", "mixture", "patch distribution"), strict=True):
        axis.set_title(title, fontsize=10)
    return figure


def draw_attention(clip: Clip, frame: int, found: Sequence[ClipAttention], index: int) -> Figure:
    """Draw gaze points and distribution, and each run's attention with its KL."""
    figure, axes = row(2 + len(found))
    image = rearrange(clip.frames[frame].numpy(), "channel y x -> y x channel")  # type: ignore[index]
    maps = [density(found[0].gaze[index, frame]), *(density(one.attention[index, frame]) for one in found)]
    titles = ["gaze distribution", *(f"{one.arm}: KL {kl(one, index, frame):.2f}" for one in found)]
    norm = one_scale(maps)
    show_points(axes[0], image, clip, frame)
    axes[0].set_title("gaze points", fontsize=10)
    for axis, map_, title in zip(axes[1:], maps, titles, strict=True):
        show_frame(axis, image, map_, found[0].covered_view, norm)
        axis.set_title(title, fontsize=10)
    return figure


def main(runs: Sequence[Path], output: Path, frame: int = -1) -> None:
    """Draw both figures from two runs, of the control and of the treatment."""
    found: list[ClipAttention] = []
    clips: list[Clip] = []
    for run in runs:
        cli = load_run(run)
        if not clips:
            dataset = cli.datamodule.tested()
            clips = [dataset[index] for index in drawn_clips(dataset, count=len(dataset), seed=0)]
        attention = attention_of(cli, cli.model.backbone.collator()(clips), run)
        assert attention is not None, f"{run} has no attention"
        found.append(attention)
    index = typical(clips, *found, frame)
    print(f"clip {clips[index].clip_id}, of {len(clips)} sessions")
    save(draw_target(clips[index], frame, found[0], index), output / "method_target.jpg")
    save(draw_attention(clips[index], frame, found, index), output / "method_attention.jpg")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs=2, default=RUNS, help="run directories of control and gaze arm")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the figures")
    main(**vars(parser.parse_args()))
