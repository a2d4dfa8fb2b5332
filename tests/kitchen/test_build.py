import csv
import hashlib
import json
import os
import re
import resource
import shutil
import signal

import av
import numpy as np
import pytest

from gaze_vlm.errors import CommandError, OutputError
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.kitchen import build
from gaze_vlm.kitchen.build import build_kitchen
from gaze_vlm.kitchen.egtea import gaze_text
from gaze_vlm.kitchen.session import simulate_session
from gaze_vlm.kitchen.sheet import write_sheet
from gaze_vlm.kitchen.writer import write_video

CLIP = re.compile(r"^(.+)-(\d+)-(\d+)-F(\d{6})-F(\d{6})$")


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory):
    return build_kitchen(tmp_path_factory.mktemp("kitchen") / "root", participants=2, recipes=1, workers=2)


def test_gaze_and_text_do_not_depend_on_the_workers(kitchen):
    for participant in (1, 2):
        session = simulate_session(0, participant, 1, gaze_ends_early=participant == 2)
        written = (kitchen / "gaze_data" / f"{session.name}.txt").read_bytes()
        assert written == gaze_text(session).encode()


def test_gaze_and_text_are_those_that_published_numbers_were_made_with(kitchen):
    files = {
        "gaze_data/P01-R01-Breakfast.txt": "40f8c44d8edc3c4e5b0b977177c7b52c3db2ff2860d11b72f967c3237857cf97",
        "gaze_data/P02-R01-Breakfast.txt": "e7eaa42dd0dfbb3e6351a3ea4fd721b83e27cfa2acf56ce72695edef314c789c",
        "action_annotation/raw_annotations/action_labels.csv": (
            "56e6d86efb7181c7539f1d4610bfece729d5351fbd09c5ac28ee8bb19032079c"
        ),
        "kitchen.json": "8e51b484f5513218d015adf3ce880c0236383a810734a3be3139ff85375b509a",
    }
    assert {file: hashlib.sha256((kitchen / file).read_bytes()).hexdigest() for file in files} == files


def test_the_videos_show_the_frames(kitchen):
    session = simulate_session(0, 1, 1)
    with av.open(str(kitchen / "videos" / f"{session.name}.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 24
        frames = list(container.decode(stream))
    assert len(frames) == session.scene.frame_count
    assert [round(frame.time * 24) for frame in frames] == list(range(len(frames)))
    for index in (0, 333, len(frames) - 1):
        error = frames[index].to_ndarray(format="rgb24").astype(float) - session.scene.frame(index)
        assert np.abs(error).mean() < 8


def test_the_reader_of_egtea_reads_it(kitchen):
    reader = EgteaReader(kitchen)
    recordings = reader.recordings()
    truth = json.loads((kitchen / "kitchen.json").read_text())["sessions"]
    assert [recording.video_id for recording in recordings] == sorted(truth)
    assert len(reader.verbs) == 6
    assert len(reader.nouns) == 48
    for recording in recordings:
        known = truth[recording.video_id]
        assert len(recording.actions) == len(known["actions"])
        for action, written in zip(recording.actions, known["actions"], strict=True):
            assert action.start_s == pytest.approx(written["start_s"], abs=0.002)
            assert action.text == f"{written['verb']} {written['noun']}".lower().replace("_", " ")
        gaze = reader.read_gaze(recording)
        assert len(gaze) == known["gaze_samples"]
        assert gaze.t_s[-1] == pytest.approx(known["gaze_end_s"], abs=0.002)
        assert 0.8 < gaze.tracked.mean() < 1


def test_one_session_in_ten_has_gaze_that_ends_early(kitchen):
    truth = json.loads((kitchen / "kitchen.json").read_text())["sessions"]
    missing_s = [known["duration_s"] - known["gaze_end_s"] for known in truth.values()]
    assert missing_s[0] < 0.1
    assert missing_s[1] == pytest.approx(1.5, abs=0.1)


def test_splits_are_disjoint_by_session_and_name_their_labels(kitchen):
    annotations = kitchen / "action_annotation"
    names = [line.rpartition(" ")[0] for line in (annotations / "action_idx.txt").read_text().splitlines()]
    assert len(names) == len(set(names)) == 156
    for split in (1, 2, 3):
        sessions = {}
        for part in ("train", "test"):
            lines = (annotations / f"{part}_split{split}.txt").read_text().splitlines()
            clips = [CLIP.match(line.split()[0]) for line in lines]
            assert all(clips)
            assert all(int(clip[5]) - int(clip[4]) >= 24 for clip in clips)
            sessions[part] = {clip[1] for clip in clips}
        assert not sessions["train"] & sessions["test"]
    lines = (annotations / "train_split3.txt").read_text().splitlines()
    labels = (annotations / "raw_annotations" / "action_labels.csv").read_text().splitlines()[1:]
    assert [names[int(line.split()[1]) - 1] for line in lines] == [row.split("; ")[5] for row in labels]


def test_a_contact_sheet_is_drawn(kitchen):
    assert (kitchen / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_kitchen_is_left_alone(kitchen):
    before = {path: path.stat().st_mtime_ns for path in kitchen.rglob("*")}
    build_kitchen(kitchen, participants=2, recipes=1)
    assert {path: path.stat().st_mtime_ns for path in kitchen.rglob("*")} == before


def test_another_kitchen_is_not_overwritten(kitchen):
    with pytest.raises(ValueError, match=r"kitchen\.json describes another kitchen"):
        build_kitchen(kitchen, participants=2, recipes=1, seed=1)


def test_other_files_are_not_mixed_with(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match="choose an empty folder"):
        build_kitchen(tmp_path)


def test_an_interrupted_kitchen_is_finished(kitchen, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(kitchen, root)
    description = json.loads((root / "kitchen.json").read_text())
    (root / "kitchen.json").write_text(json.dumps(description | {"complete": False, "sessions": {}}))
    lost = root / "gaze_data" / "P02-R01-Breakfast.txt"
    lost.unlink()
    build_kitchen(root, participants=2, recipes=1, workers=1)
    assert lost.read_bytes() == (kitchen / "gaze_data" / lost.name).read_bytes()
    assert (root / "kitchen.json").read_bytes() == (kitchen / "kitchen.json").read_bytes()


@pytest.mark.parametrize("wrong", [{"participants": 0}, {"recipes": 7}, {"workers": 0}])
def test_impossible_numbers_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is {next(iter(wrong.values()))}"):
        build_kitchen(tmp_path / "root", **wrong)


def test_a_file_that_finds_no_room_is_named(tmp_path):
    session, before = simulate_session(0, 1, 1), resource.getrlimit(resource.RLIMIT_FSIZE)
    writers = {
        "video.mp4": lambda file: write_video(file, session, "libx264", {"preset": "ultrafast"}),
        "sheet.png": lambda file: write_sheet(file, [(1, 1)], 0, session.scene.rates),
    }
    for name, write in writers.items():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            with pytest.raises(OutputError, match=rf"{tmp_path / name} cannot be written .*: make room"):
                write(tmp_path / name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert not list(tmp_path.iterdir())


def test_boxes_are_about_the_object_of_the_action(kitchen):
    with (kitchen / "action_boxes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["video_id"] == "P01-R01-Breakfast"]
    session = simulate_session(0, 1, 1)
    scene, script = session.scene, session.scene.script
    assert {row["kind"] for row in rows} == {"box"}
    assert all(float(row["time_s"]) * 2 % 1 == 0 for row in rows)
    assert script.action_start_s[0] <= float(rows[0]["time_s"]) < float(rows[-1]["time_s"]) < script.action_start_s[-1]
    for row in rows[::10]:
        time_s, left, top, right, bottom = (float(row[name]) for name in ("time_s", "left", "top", "right", "bottom"))
        labels = scene.labels(round(24 * time_s))
        item = script.action_object[script.action_at(time_s)]
        y, x = np.nonzero(labels.object_map == item + 1)
        assert [x.min() / 128, y.min() / 96] == pytest.approx([left, top], abs=1e-4)
        assert [(x.max() + 1) / 128, (y.max() + 1) / 96] == pytest.approx([right, bottom], abs=1e-4)


def test_a_kitchen_of_before_the_boxes_gets_them_and_stays(kitchen):
    files = {path: path.read_bytes() for path in kitchen.rglob("*") if path.is_file()}
    (kitchen / "action_boxes.csv").unlink()
    build_kitchen(kitchen, participants=2, recipes=1, workers=1)
    assert {path: path.read_bytes() for path in kitchen.rglob("*") if path.is_file()} == files


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_died_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "write_session", die)
    with pytest.raises(CommandError, match=r"2 times, a process was killed by SIGKILL.*: run the same command again"):
        build.build_kitchen(tmp_path / "kitchen", participants=1, recipes=2, workers=2)
