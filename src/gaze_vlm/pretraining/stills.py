"""Stills of kitchens that no session shows: for pretraining an encoder, never written to disk."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import UInt8

from gaze_vlm.cores import cores
from gaze_vlm.errors import InputError
from gaze_vlm.kitchen.look import random_look
from gaze_vlm.kitchen.recipes import random_recipe
from gaze_vlm.kitchen.scene import EGTEA_RATES, Labels, act_out
from gaze_vlm.kitchen.script import random_script
from gaze_vlm.progress import track
from gaze_vlm.workers import Report, results_of

ACTIONS = 2
"""Enough for a hand at work, on its way and at rest; marks of earlier actions are drawn at random."""
FRAME_HZ = EGTEA_RATES.frame_hz
EARLIEST_FRAME = FRAME_HZ
PART = 20  # clips that a process renders at a time


@dataclass(frozen=True)
class Still(Labels):
    """A frame, RGB in [0, 255], beside what it shows."""

    image: UInt8[np.ndarray, "96 128 3"]


def stills(rng: np.random.Generator, frames: int, spacing: int = FRAME_HZ) -> list[Still]:
    """Render frames of one fresh kitchen, in time order.

    They are `spacing` frames of its video apart.

    Raises:
        InputError: they reach further back than the kitchen lasts.
    """
    script = random_script(rng, random_recipe(rng, ACTIONS), least_duration_s=0.0, marks=True)
    first_choice = max(EARLIEST_FRAME, (frames - 1) * spacing)
    frame_count = int(script.duration_s * FRAME_HZ)
    if first_choice >= frame_count:
        raise InputError(f"{frames} frames {spacing} apart do not fit into {frame_count}: ask for fewer")
    last = int(rng.integers(first_choice, frame_count))
    scene = act_out(rng, script, random_look(rng), until_s=(last + 1) / FRAME_HZ)
    indices = [last - back * spacing for back in reversed(range(frames))]
    return [Still(**vars(scene.labels(index)), image=scene.frame(index)) for index in indices]


def render_stills(clips: int, frames: int, seed: int) -> list[list[Still]]:
    """Render `stills` of so many kitchens on all cores; the same seed gives the same."""
    parts = [range(first, min(first + PART, clips)) for first in range(0, clips, PART)]
    rendered = results_of(partial(_clips, frames, seed), parts, cores())
    of_part = dict(track(rendered, "rendering stills", len(parts)))
    return [clip for part in parts for clip in of_part[part]]


def _clips(frames: int, seed: int, part: range, report: Report) -> tuple[range, list[list[Still]]]:
    return part, [stills(np.random.default_rng([seed, index]), frames) for index in part]
