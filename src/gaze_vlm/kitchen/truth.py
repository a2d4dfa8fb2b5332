"""What the simulation knows about a session and no reader may know: for tests and for the contact sheet."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from gaze_vlm.kitchen.script import REACH_S
from gaze_vlm.kitchen.session import Session


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
        "steps": [
            {
                "start_s": round(start_s, 3),
                "end_s": round(end_s, 3),
                "reach_s": round(start_s - REACH_S, 3),
                "verb": verb,
                "noun": noun,
            }
            for start_s, end_s, verb, noun in session.actions
        ],
        "passings": [
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


def _intervals(t_s: Float[np.ndarray, " sample"], where: Bool[np.ndarray, " sample"]) -> list[list[float]]:
    """First and last time of each run of samples that are `where`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(int)))
    return [
        [round(float(t_s[first]), 4), round(float(t_s[last - 1]), 4)]
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
