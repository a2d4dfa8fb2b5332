"""A small Ego4D for the tests: VP9 videos of a still texture at 30 fps, gaze at 200 Hz, narrations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from egtea_files import texture, write_video
from gaze_vlm.formats.ego4d_gaze import COLUMNS
from gaze_vlm.formats.ego4d_metadata import DOUBTFUL, TEST, TRAIN, Ego4dVideo
from gaze_vlm.formats.ego4d_writers import ego4d_json, gaze_csv_text, narration_json
from gaze_vlm.formats.narrations import Narration

WIDTH_PX, HEIGHT_PX = 136, 134
FRAME_HZ, GAZE_HZ = 30, 200
TRAIN_UIDS, TEST_UIDS, DOUBTFUL_UIDS = sorted(TRAIN), sorted(TEST), sorted(DOUBTFUL)
HEADER = (  # as the data set ships it, independent of the code under test
    "component_idx,component_timestamp_s,canonical_timestamp_s,world_index,confidence,norm_pos_x,norm_pos_y,base_data,"
    "gaze_point_3d_x,gaze_point_3d_y,gaze_point_3d_z,eye_center0_3d_x,eye_center0_3d_y,eye_center0_3d_z,"
    "gaze_normal0_x,gaze_normal0_y,gaze_normal0_z,eye_center1_3d_x,eye_center1_3d_y,eye_center1_3d_z,"
    "gaze_normal1_x,gaze_normal1_y,gaze_normal1_z"
)
NARRATIONS = ("cuts an onion", "washes a cup", "opens the fridge")
assert HEADER.split(",") == list(COLUMNS)


def gaze_row(t: object, x: object, y: object, confidence: object = "1.0", world_index: object = "10583.0") -> str:
    """One row of a gaze table; `x`, `y` with the origin at the bottom left, as in the file."""
    return f"0,{t},{t},{world_index},{confidence},{x},{y}" + "," * 16


def write_gaze(path: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    """A gaze table of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def still_gaze(seconds: float, x: float = 0.4, y: float = 0.1) -> str:
    """A gaze table that rests on one place; origin top left here."""
    t_s = np.arange(int(seconds * GAZE_HZ)) / GAZE_HZ
    return gaze_csv_text(t_s, np.tile([x, y], (len(t_s), 1)), np.ones(len(t_s), dtype=bool))


def narrations(seconds: int) -> list[Narration]:
    """A narration of the camera wearer every two seconds."""
    return [Narration(float(t), f"#C C {NARRATIONS[t // 2 % 3]}") for t in range(0, seconds, 2)]


def write_root(
    root: Path,
    uids: Sequence[str],
    seconds: int = 8,
    redacted_s: tuple[tuple[float, float], ...] = (),
    videos: bool = True,
) -> Path:
    """A whole data set; without `videos` their files are empty, for readers never open them."""
    v2 = root / "v2"
    for folder in ("full_scale", "gaze", "annotations"):
        (v2 / folder).mkdir(parents=True)
        (v2 / folder / "manifest.csv").write_text("video_uid,s3_path\n")
        (v2 / folder / "manifest.ver").write_text("2.0\n")
    for seed, uid in enumerate(uids):
        path = v2 / "full_scale" / f"{uid}.mp4"
        if videos:
            image = texture(seed)[:HEIGHT_PX, :WIDTH_PX]
            write_video(path, [image] * (FRAME_HZ * seconds), gop=30, codec="libvpx-vp9", frame_hz=FRAME_HZ)
        else:
            path.touch()
        (v2 / "gaze" / f"{uid}.csv").write_text(still_gaze(seconds if videos else 0.1))
    described = [Ego4dVideo(uid, float(seconds), redacted_s=redacted_s) for uid in uids]
    (root / "ego4d.json").write_text(ego4d_json(described))
    spoken = {uid: narrations(seconds) for uid in uids}
    (v2 / "annotations" / "narration.json").write_text(narration_json(spoken))
    return root
