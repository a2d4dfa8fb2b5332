"""What each patch of a still shows: the dense labels that the kitchen's encoder is trained on."""

import cv2
import numpy as np
from einops import rearrange
from jaxtyping import Float, Int, UInt8

from gaze_vlm.kitchen.recipes import COLOURS, KINDS, VERBS
from gaze_vlm.kitchen.scene import HAND_LABEL
from gaze_vlm.pretraining.stills import Still

CLASSES = [1 + len(KINDS), 1 + len(COLOURS), 2 + len(VERBS)]
"""Number of classes of the three labels: object kind, its colour, hand. 0 is nothing; 1 an arm or an empty hand, 2 + v
the working hand with the tool of verb v."""
REACH = 0.15
"""How far from the hand's middle, in frame widths, a patch can show its tool."""


def patch_labels(still: Still, side: int, least_share: float = 0.15) -> Int[np.ndarray, "3 patch"]:
    """Label kind, colour and hand of every patch of a `side` × `side` grid, row-major.

    A patch shows the object that covers most of it, and the hand, each if it covers at least `least_share`.
    """
    cells = patch_cells(still, side)
    shares = np.stack([(cells == item + 1).mean(1) for item in range(len(still.objects))])
    best, shown = shares.argmax(0), shares.max(0) >= least_share
    kinds = np.array([KINDS.index(kind) + 1 for kind, *_ in still.objects])
    colours = np.array([list(COLOURS).index(colour) + 1 for _, colour, *_ in still.objects])
    tool = 1 if still.verb is None else 2 + VERBS.index(still.verb)
    y, x = (np.indices((side, side)).reshape(2, -1) + 0.5) / side
    height, width = still.object_map.shape
    near = np.hypot(x - still.hand_xy[0], (y - still.hand_xy[1]) * height / width) <= REACH
    arm = (cells == HAND_LABEL).mean(1) >= least_share
    hand = np.where(near & (tool > 1), tool, arm.astype(int))
    return np.stack([np.where(shown, kinds[best], 0), np.where(shown, colours[best], 0), hand])


def patch_cells(still: Still, side: int) -> UInt8[np.ndarray, "patch cell"]:
    """Cut the still's object map into patches."""
    size = 12 * side  # whole pixels for every patch
    cells = cv2.resize(still.object_map, (size, size), interpolation=cv2.INTER_NEAREST)
    return rearrange(cells, "(row y) (column x) -> (row column) (y x)", row=side, column=side)


def crop_weights(still: Still, label: int, side: int) -> Float[np.ndarray, " patch"]:
    """Return each patch's share of the pixels with `label`; sums to 1, unless none has it."""
    if label == HAND_LABEL:
        shares = (patch_labels(still, side)[2] > 1).astype(np.float32)
    else:
        shares = (patch_cells(still, side) == label).mean(1, dtype=np.float32)
    return shares / max(float(shares.sum()), 1e-6)
