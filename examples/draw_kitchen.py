"""Draw the pictures of `examples/kitchen` from the embedded kitchen: python examples/draw_kitchen.py"""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from gaze_vlm.kitchen.session import simulate_session
from gaze_vlm.kitchen.truth import action_boxes

FOLDER = Path(__file__).parent / "kitchen"
WINDOW_S = 0.2  # of gaze before a picture


def main(pictures: int = 4) -> None:
    """Write pictures of a session's actions, one line each in `pictures.jsonl`: the gaze, or the box of the object."""
    session = simulate_session(seed=0, participant=1, recipe=1)
    rate_hz, track, boxes = session.scene.rates.frame_hz, session.gaze, action_boxes(session)
    rows = []
    for number, (start_s, end_s, verb, noun) in enumerate(session.actions[1 : pictures + 1]):
        time_s = (start_s + end_s) / 2
        answer = f"{verb} {noun}".lower().replace("_", " ")
        row = {
            "image": f"{number}.png",
            "prompt": "What is the camera wearer doing?",
            "answer": answer,
            "gaze": [],
            "boxes": [],
        }
        if number == pictures - 1:  # a target other than gaze
            row["boxes"] = [min(boxes, key=lambda box: abs(box.time_s - time_s))[1:]]
        else:
            near = (track.t_s > time_s - WINDOW_S) & (track.t_s <= time_s) & track.tracked
            row["gaze"] = np.round(track.xy[near], 3).tolist()
        Image.fromarray(session.scene.frame(round(time_s * rate_hz))).save(FOLDER / row["image"])
        rows.append(row)
    (FOLDER / "pictures.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
