"""What the kitchen's LLaVA is asked while it is aligned: about scenes, never about actions, gaze or the hand's
object."""

from dataclasses import dataclass

import numpy as np

from gaze_vlm.kitchen.recipes import COLOURS, KINDS, VERBS
from gaze_vlm.kitchen.stills import Still

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


@dataclass(frozen=True)
class Question:
    """What is asked of a still, and the answer. `crop` is the kind of the object whose patches alone are shown;
    None shows the whole still."""

    text: str
    answer: str
    crop: str | None = None


def draw_question(still: Still, rng: np.random.Generator) -> Question:
    """A crop to name (six of ten), the tool in the hand (two), a caption or a colour (one each)."""
    shown = [(x, colour, kind) for kind, colour, x, y in still.objects if 0.03 < x < 0.97 and 0.03 < y < 0.97]
    draw = rng.random()
    if draw < 0.2 or not shown:
        return Question(TOOL, TOOLS[still.verb])
    if draw < 0.3:
        return Question(CAPTION, " ".join(f"{colour} {kind}" for _, colour, kind in sorted(shown)))
    _, colour, kind = shown[rng.integers(len(shown))]
    if draw < 0.4:
        return Question(COLOUR.format(kind=kind), colour)
    return Question(CROP, f"{colour} {kind}", crop=kind)


def vocabulary() -> list[str]:
    """Every word of the questions, their answers, and the targets of the kitchen's tasks."""
    texts = [CAPTION, CROP, COLOUR.format(kind=""), TOOL, *TOOLS.values(), *VERBS, *COLOURS, *KINDS]
    return " ".join(texts).lower().split()
