"""What the simulation knows about a session and no reader may know: for tests and for the contact sheet."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gaze_vlm.kitchen.scene import FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from gaze_vlm.kitchen.script import REACH_S
from gaze_vlm.kitchen.session import Session

BOX_HZ = 2


class ActionBox(NamedTuple):
    """The visible part of an object at a time; sides are normalised to the frame, origin top left."""

    time_s: float
    left: float
    top: float
    right: float
    bottom: float


def session_truth(session: Session) -> dict[str, Any]:
    """Collect plain values for `kitchen.json`, in seconds and frame widths."""
    script, track = session.scene.script, session.gaze
    return {
        "participant": session.participant,
        "recipe": session.recipe,
        "frames": session.scene.frame_count,
        "duration_s": round(session.scene.frame_count / session.scene.rates.frame_hz, 4),
        "gaze_end_s": round(float(track.t_s[-1]), 4),
        "gaze_samples": len(track.t_s),
        "objects": [f"{colour} {kind}" for colour, kind in zip(script.colours, script.kinds, strict=True)],
        "actions": [
            {
                "start_s": round(start_s, 3),
                "end_s": round(end_s, 3),
                "reach_s": round(start_s - REACH_S, 3),
                "verb": verb,
                "noun": noun,
            }
            for start_s, end_s, verb, noun in session.actions
        ],
        "occluders": [
            {
                "start_s": round(occluder.start_s, 4),
                "end_s": round(occluder.end_s, 4),
                "start": [round(value, 4) for value in occluder.start],
                "end": [round(value, 4) for value in occluder.end],
                "radius": round(occluder.radius, 4),
                "distracts": occluder.distracts,
            }
            for occluder in session.scene.occluders
        ],
        "hidden_gaze_s": _intervals(track.t_s, track.hidden),
    }


def action_boxes(session: Session) -> list[ActionBox]:
    """Box the object of the action under way, twice a second.

    A time at which no pixel of the object is visible has none, nor has one before the first action or after the last.
    """
    scene, boxes = session.scene, []
    script = scene.script
    first_s, last_s = float(script.action_start_s[0]), float(script.action_start_s[-1])
    for number in range(math.ceil(first_s * BOX_HZ), math.ceil(last_s * BOX_HZ)):
        time_s = number / BOX_HZ
        item = int(script.action_object[script.action_at(time_s)])
        rows, columns = np.nonzero(scene.visible(round(time_s * scene.rates.frame_hz), item))
        if len(rows):
            left, right = columns.min() / FRAME_WIDTH_PX, (columns.max() + 1) / FRAME_WIDTH_PX
            top, bottom = rows.min() / FRAME_HEIGHT_PX, (rows.max() + 1) / FRAME_HEIGHT_PX
            boxes.append(ActionBox(time_s, *(round(float(side), 4) for side in (left, top, right, bottom))))
    return boxes


def _intervals(t_s: Float[np.ndarray, " sample"], where: Bool[np.ndarray, " sample"]) -> list[list[float]]:
    """First and last time of each run of samples that are `where`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [
        [round(float(t_s[first]), 4), round(float(t_s[last - 1]), 4)]
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
