"""How well the occlusion tests find carried gaze points whose scene point is hidden, against the kitchen's truth.

    gaze-vlm kitchen --root data/kitchen
    python benchmarks/occlusion.py

The kitchen's sessions are simulated again from their seed, so that it is known what every pixel shows and where it
goes: a point on an object moves with it, one on the table with the camera, one on an occluder with that. A carried
point is truly occluded if the thing it was on is not seen within a pixel of where it must be in the sampled frame, and
visible if it is seen there exactly. Points of neither kind (on an edge), on a hand, or that leave the frame are left
out and counted. How far visible points are carried from their true place is measured too. Gaze points and errors are
those of the preparation itself.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from result import cpu_name, write_result

from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.gaze.occlusion import FRAME_EPSILON, FRAME_ETA, LOCAL_EPSILON, OcclusionTest, visible
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.kitchen.build import EARLY_END_EVERY
from gaze_vlm.kitchen.motion import VIEW_HEIGHT
from gaze_vlm.kitchen.scene import EGTEA_RATES, FRAME_HEIGHT_PX, FRAME_WIDTH_PX, HAND_LABEL
from gaze_vlm.kitchen.session import Session, simulate_session
from gaze_vlm.kitchen.truth import session_truth
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.video_gaze import VideoGaze
from gaze_vlm.progress import track

DEFAULT = "around the points"
SETTINGS = {
    DEFAULT: PreparationParameters(),
    "ultrafast": PreparationParameters(flow="dis", flow_preset="ultrafast"),
    "fast": PreparationParameters(flow="dis", flow_preset="fast"),
    "medium": PreparationParameters(flow="dis"),
    "medium, refined": PreparationParameters(flow="dis", flow_refine=True),
    "medium, half the width": PreparationParameters(flow="dis", flow_max_width_px=FRAME_WIDTH_PX // 2),
}
TESTS: tuple[OcclusionTest, ...] = ("local", "frame")
FRAME_HZ = EGTEA_RATES.frame_hz
TIME_TOLERANCE_S = 1e-4
VISIBLE = "visible"
HIDDEN = ("by a passing thing", "by the hand", "by another object")


@dataclass(frozen=True, eq=False)
class Truth:
    """What a session shows; frames are counted from 0."""

    session: Session

    def fate(self, frame: int, target: int, xy: np.ndarray) -> tuple[str, np.ndarray]:
        """What became, by `target`, of the thing at `xy` (normalised) in `frame`: `VISIBLE`, one of `HIDDEN`, or why
        that cannot be said; and where it is, (x, y) in frame widths, NaN where unknown."""
        tick, goal = self.session.scene.tick(frame), self.session.scene.tick(target)
        view = np.array([xy[0], xy[1] * VIEW_HEIGHT])
        scene = self.session.scene
        shows = int(self.shows(frame)[_pixel(view)])
        if shows == HAND_LABEL:
            return "on a hand", np.full(2, np.nan)
        if shows < 0:
            occluder = scene.occluders[-shows - 1]
            times = scene.t_s[[tick, goal]]
            start, end = occluder.centre(times)
            place = view + (end - start)
        else:
            offset = view - (0.5, 0.5 * VIEW_HEIGHT)
            cos, sin = np.cos(scene.camera.roll[tick]), np.sin(scene.camera.roll[tick])
            turned = np.array([cos * offset[0] + sin * offset[1], cos * offset[1] - sin * offset[0]])
            world = turned / scene.camera.zoom[tick] + scene.camera.centre[tick]
            if shows > 0:
                world = world + scene.paths[shows - 1, goal] - scene.paths[shows - 1, tick]
            place = scene.camera.to_view(world, goal)
        if not (np.isfinite(place).all() and 0 <= place[0] < 1 and 0 <= place[1] < VIEW_HEIGHT):
            return "left the frame", place
        row, column = _pixel(place)
        seen = self.shows(target)
        if seen[row, column] == shows:
            return VISIBLE, place
        near = seen[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        if (near == shows).any():
            return "on an edge", place
        over = seen[row, column]
        return (HIDDEN[0] if over < 0 else HIDDEN[1] if over == HAND_LABEL else HIDDEN[2]), place

    @lru_cache(maxsize=16)  # noqa: B019 (a truth lives as long as its session is measured)
    def shows(self, frame: int) -> np.ndarray:
        """Labels of the frame's pixels: 0 table, i + 1 object i, 255 hand, −1 − i occluder i."""
        scene = self.session.scene
        labels = scene.labels(frame).object_map.astype(int)
        rows, columns = np.mgrid[:FRAME_HEIGHT_PX, :FRAME_WIDTH_PX]
        pixels = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / FRAME_WIDTH_PX
        t_s = np.full(len(pixels), scene.t_s[scene.tick(frame)])
        for index, occluder in enumerate(scene.occluders):
            labels[occluder.covers(t_s, pixels).reshape(labels.shape)] = -1 - index
        return labels


def _pixel(view: np.ndarray) -> tuple[int, int]:
    column, row = np.floor(view * FRAME_WIDTH_PX).astype(int)
    return min(row, FRAME_HEIGHT_PX - 1), min(column, FRAME_WIDTH_PX - 1)


def carried_points(gaze: VideoGaze, frames: int) -> list[tuple[int, int, int, int]]:
    """Points that were looked at in an earlier frame and carried inside: sampled frame, point, frames of both."""
    found = []
    for row, t_s in enumerate(gaze.frame_t_s):
        target = min(int((t_s + TIME_TOLERANCE_S) * FRAME_HZ), frames - 1)  # the last one stays on screen
        for point in np.flatnonzero(gaze.event[row] <= GazeEvent.UNKNOWN):
            frame = int((t_s - gaze.age_s[row, point] + TIME_TOLERANCE_S) * FRAME_HZ)
            if frame < target:
                found.append((row, int(point), frame, target))
    return found


def scores(fate: np.ndarray, dropped: np.ndarray) -> dict[str, float | str]:
    """Precision and recall of dropping hidden points, and the share of visible points that are dropped."""
    hidden, visible_ = np.isin(fate, HIDDEN), fate == VISIBLE
    known = hidden | visible_
    return {
        "precision": _share(hidden, dropped & known),
        "recall": _share(dropped, hidden),
        **{f"recall {by}": _share(dropped, fate == by) for by in HIDDEN[:2]},
        "false_positive_rate": _share(dropped, visible_),
    }


def _share(part: np.ndarray, of: np.ndarray) -> float | str:
    return round(float(part[of].mean()), 3) if of.any() else "of none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/kitchen"))
    parser.add_argument("--sessions", type=int, default=12)
    options = parser.parse_args()
    kitchen = json.loads((options.root / "kitchen.json").read_text(encoding="utf-8"))
    reader = EgteaReader(options.root)
    recordings = reader.recordings()
    chosen = recordings[:: max(1, len(recordings) // options.sessions)][: options.sessions]
    fates: dict[str, list[str]] = {setting: [] for setting in SETTINGS}
    values: dict[str, list[tuple[float, float, float]]] = {setting: [] for setting in SETTINGS}
    for recording in track(chosen, "checking sessions"):
        known = kitchen["sessions"][recording.video_id]
        index = list(kitchen["sessions"]).index(recording.video_id)
        session = simulate_session(
            kitchen["parameters"]["seed"], known["participant"], known["recipe"], index % EARLY_END_EVERY == 1
        )
        if session_truth(session) != known:
            raise ValueError(
                f"{options.root / 'kitchen.json'}: {recording.video_id} is of another version of the kitchen: "
                "render it again with `gaze-vlm kitchen`, in another folder"
            )
        truth = Truth(session)
        for setting, parameters in SETTINGS.items():
            gaze = prepare_video(recording.video, reader.read_gaze(recording), parameters)
            for row, point, frame, target in carried_points(gaze, session.scene.frame_count):
                fate, place = truth.fate(frame, target, gaze.raw_xy[row, point])
                miss = np.hypot(*(gaze.xy[row, point] * (1, VIEW_HEIGHT) - place))
                fates[setting].append(fate)
                values[setting].append((gaze.error[row, point], gaze.occluded_share[row, point], miss))
    figures: dict[str, float | int | str] = {}
    for setting in SETTINGS:
        error, share, miss = np.array(values[setting]).T
        followed = miss[np.array(fates[setting]) == VISIBLE]
        figures[f"{setting}; mean miss of visible points, frame widths"] = round(float(followed.mean()), 4)
        figures[f"{setting}; visible points carried to within 1/96 of the width"] = round(
            float(np.mean(followed <= LOCAL_EPSILON)), 3
        )
        for test in TESTS:
            found = scores(np.array(fates[setting]), ~visible(error, share, test))
            figures |= {f"{setting}; {test}; {name}": value for name, value in found.items()}
    figures |= {f"points {fate}": count for fate, count in Counter(fates[DEFAULT]).most_common()}
    write_result(
        "occlusion",
        figures=figures,
        command="python benchmarks/occlusion.py",
        device=cpu_name(),
        packages=("numpy", "opencv-python-headless"),
        conditions={
            "sessions": len(chosen),
            "frame_px": f"{FRAME_WIDTH_PX}x{FRAME_HEIGHT_PX}",
            "window_s": SETTINGS[DEFAULT].window_s,
            "local_epsilon": f"1/{round(1 / LOCAL_EPSILON)} of the width",
            "frame_epsilon": f"{round(FRAME_EPSILON * 1088)}/1088 of the width",
            "frame_eta": FRAME_ETA,
        },
    )


if __name__ == "__main__":
    main()
