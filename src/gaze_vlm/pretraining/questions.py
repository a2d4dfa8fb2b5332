"""Questions of the pretraining: about scenes, never about actions, gaze or the hand's object."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gaze_vlm.kitchen.recipes import COLOURS, KINDS, VERBS
from gaze_vlm.kitchen.scene import HAND_LABEL
from gaze_vlm.pretraining.patch_labels import crop_weights
from gaze_vlm.pretraining.stills import Still

TOOLS = {
    None: "nothing",
    "Pick up": "nothing",
    "Cut": "knife",
    "Pour into": "jug",
    "Open": "opener",
    "Stir": "spoon",
    "Wash": "sponge",
}
CAPTION = "name every object from left to right ."
CROP = "what is this ?"
COLOUR = "what colour is the {kind} ?"
TOOL = "what does the hand hold ?"
SMALLEST_PX = 60  # of an object in a crop


def ask_of_crop(still: Still, rng: np.random.Generator) -> tuple[str, str, int]:
    """Ask for the name of a crop: an object three times of four, else the hand's tool.

    Returns:
        Question, answer, and the crop's label in the still's `object_map`.
    """
    shown = [
        item for item in range(len(still.objects)) if np.count_nonzero(still.object_map == item + 1) >= SMALLEST_PX
    ]
    if not shown or rng.random() < 0.25:
        return TOOL, TOOLS[still.verb], HAND_LABEL
    item = int(rng.choice(shown))
    kind, colour, *_ = still.objects[item]
    return CROP, f"{colour} {kind}", item + 1


def ask_of_crops(
    clips: list[list[Still]], rng: np.random.Generator, side: int
) -> tuple[list[tuple[str, str]], Float[Tensor, "clip frame patch"]]:
    """Ask for a crop of each still, of which the last one's is to be named.

    Returns:
        Question and answer of each clip, and the weights of each crop's patches on a `side` × `side` grid.
    """
    asked = [[ask_of_crop(still, rng) for still in clip] for clip in clips]
    weights = [
        [crop_weights(still, label, side) for still, (*_, label) in zip(clip, asks, strict=True)]
        for clip, asks in zip(clips, asked, strict=True)
    ]
    return [asks[-1][:2] for asks in asked], torch.from_numpy(np.array(weights))


def ask_of_scene(still: Still, rng: np.random.Generator) -> tuple[str, str]:
    """Ask about the whole still: every object, the colour of one, or the tool.

    Returns:
        Question and answer.
    """
    shown = [(x, colour, kind) for kind, colour, x, y in still.objects if 0.03 < x < 0.97 and 0.03 < y < 0.97]
    draw = rng.random()
    if draw < 0.3 or not shown:
        return TOOL, TOOLS[still.verb]
    if draw < 0.6:
        _, colour, kind = shown[rng.integers(len(shown))]
        return COLOUR.format(kind=kind), colour
    return CAPTION, " ".join(f"{colour} {kind}" for _, colour, kind in sorted(shown))


def all_words() -> list[str]:
    """List every word of the questions and answers, and of the tasks' target texts."""
    texts = [CAPTION, CROP, COLOUR.format(kind=""), TOOL, *TOOLS.values(), *VERBS, *COLOURS, *KINDS]
    return " ".join(texts).lower().split()
