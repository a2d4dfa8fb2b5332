"""Files of data sets, of video and of stores, to damage."""

import gzip
import shutil
from pathlib import Path

import cv2
import numpy as np
from damage import damaged_bytes, damaged_json, damaged_text
from target import Target

import ego4d_files
from gaze_vlm.comparison.contamination import overlap
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.glc import read_frame_labels, read_untracked_spans
from gaze_vlm.formats.recording import Reader
from gaze_vlm.formats.video import timed_frames
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.json_files import read_json
from gaze_vlm.look.frames import frames_of_images
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.quality import readable_page


def data_targets(place: Path, raw_root: Path, prepared: Path) -> dict[str, Target]:
    """Each kind of file by name, with what reads it; they are written below `place`."""
    made: dict[str, Target] = {}
    raw, labels = Path(shutil.copytree(raw_root, place / "raw")), "action_annotation"
    for path in (raw / "videos").glob("*.mp4"):
        path.write_bytes(b"")
    for name in ("P01-R01-Pizza", "P01-R02-Salad"):
        egtea = (name, "gaze_data")
        made[f"egtea gaze {name}"] = Target(raw, f"gaze_data/{name}.txt", damaged_text, read_egtea, egtea, 8)
    for file in ("verb_idx.txt", "noun_idx.txt", "action_idx.txt", "raw_annotations/action_labels.csv"):
        made[f"egtea {file}"] = Target(raw, f"{labels}/{file}", damaged_text, read_egtea, (labels,), 4)
    ego4d = ego4d_files.write_root(place / "ego4d", ego4d_files.TRAIN_UIDS[:2], videos=False)
    uid = ego4d_files.TRAIN_UIDS[0]
    for file, way in {
        "ego4d.json": damaged_json,
        "v2/annotations/narration.json": damaged_json,
        f"v2/gaze/{uid}.csv": damaged_text,
    }.items():
        made[f"ego4d {file[-14:]}"] = Target(ego4d, file, way, lambda folder: read_all(Ego4dReader(folder)), (), 4)
    (place / "glc").mkdir()
    (place / "glc" / "labels.csv").write_text("frame,x,y,gaze_type\n0,0.5,0.5,1\n1,0.4,0.2,2\n2,0,0,0\n")
    (place / "glc" / "spans.csv").write_text("a,00:00:01,00:00:02\nb,00:10:01,01:00:02\n")
    made["glc labels"] = Target(
        place / "glc", "labels.csv", damaged_text, lambda folder: read_frame_labels(folder / "labels.csv")
    )
    made["glc spans"] = Target(
        place / "glc", "spans.csv", damaged_text, lambda folder: read_untracked_spans(folder / "spans.csv")
    )
    samples = "".join(f"{i},0.5,0.2,1\n" for i in range(9))
    generic = folder_of(place / "generic", "a.csv", f"t_s,x,y,confidence\n{samples}")
    take = folder_of(place / "take", "a.csv", "frame_num,tracking_timestamp_us,x,y\n0,1,704,352\n3,2,70,3\n")
    pupil = folder_of(
        place / "pupil",
        "a/gaze.csv",
        "timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id\n"
        + "".join(f"{1000 + i},64,24,1,{i},\n" for i in range(9)),
    )
    (pupil / "gaze" / "a" / "world_timestamps.csv").write_text("timestamp [ns]\n1000\n2000\n")
    core = folder_of(
        place / "core",
        "a/gaze_positions.csv",
        "gaze_timestamp,confidence,norm_pos_x,norm_pos_y\n" + "".join(f"{7 + i},0.9,0.5,0.2\n" for i in range(9)),
    )
    (core / "gaze" / "a" / "world_timestamps.csv").write_text("# timestamps [seconds],pts\n7.0,0\n7.1,512\n")
    seen = "".join(f'{{"type":"gaze","timestamp":0.{i},"data":{{"gaze2d":[0.5,0.2]}}}}\n' for i in range(9))
    tobii3 = folder_of(place / "tobii3", "a/gazedata", seen)
    tobii3_gz = folder_of(place / "tobii3-gz", "a/gazedata.gz", "")
    (tobii3_gz / "gaze" / "a" / "gazedata.gz").write_bytes(gzip.compress(seen.encode()))
    seen = "".join(f'{{"ts":{9000 + i},"s":0,"gp":[0.5,0.2]}}\n' for i in range(9))
    tobii2 = folder_of(place / "tobii2", "a/livedata.json", f'{{"ts":9000,"s":0,"vts":0}}\n{seen}')

    def read_folder(folder: Path) -> None:
        read_all(FolderReader(folder, frame_width_px=128, frame_height_px=96))

    for name, root, file in (
        ("generic", generic, "gaze/a.csv"),
        ("captions", generic, "captions.csv"),
        ("participants", generic, "participants.csv"),
        ("take", take, "gaze/a.csv"),
        ("pupil", pupil, "gaze/a/gaze.csv"),
        ("world", pupil, "gaze/a/world_timestamps.csv"),
        ("pupil core", core, "gaze/a/gaze_positions.csv"),
        ("pupil core world", core, "gaze/a/world_timestamps.csv"),
        ("tobii 2", tobii2, "gaze/a/livedata.json"),
        ("tobii 3", tobii3, "gaze/a/gazedata"),
    ):
        made[f"folder {name}"] = Target(root, file, damaged_text, read_folder, (str(root),))
    file = "gaze/a/gazedata.gz"
    made["folder tobii 3 gz"] = Target(tobii3_gz, file, damaged_bytes, read_folder, (str(tobii3_gz),))
    (place / "video").mkdir()
    shutil.copy(raw_root / "videos" / "P01-R01-Pizza.mp4", place / "video" / "a.mp4")
    made["video"] = Target(place / "video", "a.mp4", damaged_bytes, read_frames, (), 16)

    (place / "images").mkdir()
    (place / "images" / "a.png").write_bytes(cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))[1])
    made["image"] = Target(
        place / "images", "a.png", damaged_bytes, lambda folder: frames_of_images([folder]), (str(place),)
    )

    store = Path(shutil.copytree(prepared, place / "store"))
    of_store = (str(store),)
    made["manifest"] = Target(store, "manifest.json", damaged_json, read_store, of_store)
    made["clips"] = Target(store, "clips.parquet", damaged_bytes, read_store, of_store)
    made["video gaze"] = Target(store, "videos/P01-R01-Pizza.safetensors", damaged_bytes, read_store, of_store)
    made["quality"] = Target(
        store,
        "quality.json",
        damaged_json,
        lambda folder: readable_page("a", "b", read_json(folder / "quality.json", "again"), b"", folder),
    )
    return made


def read_all(opened: Reader) -> None:
    for recording in opened.recordings():
        if recording.gaze is not None:
            opened.read_gaze(recording)
    assert len(opened.verbs) >= 0
    opened.left_out()


def read_store(folder: Path) -> None:
    store = Store(folder)
    for video_id in store.manifest.videos:
        store.video(video_id)
        store._video_path(video_id, None)
    overlap.__wrapped__(folder, folder)


def read_egtea(folder: Path) -> None:
    read_all(EgteaReader(folder))


def read_frames(folder: Path) -> None:
    video = folder / "a.mp4"
    video_info(video)
    sum(1 for _ in timed_frames(video))


def folder_of(root: Path, gaze: str, text: str) -> Path:
    root.mkdir()
    (root / "videos").mkdir()
    (root / "videos" / "a.mp4").touch()
    (root / "gaze" / gaze).parent.mkdir(parents=True)
    (root / "gaze" / gaze).write_text(text)
    (root / "captions.csv").write_text("video_id,second,text\na,0,chops an onion\na,3,cuts a cup\n")
    (root / "participants.csv").write_text("video_id,participant\na,P01\n")
    return root
