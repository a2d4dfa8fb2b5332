"""Gaze in another unit of time, of another clock, or of another recording is refused, and missing gaze is reported."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ego4d_files import HEADER, gaze_row
from ego4d_files import write_root as write_ego4d
from egtea_files import PREAMBLE, row_31, texture, write_annotations, write_video
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.recording import Action, Reader
from gaze_vlm.formats.video_header import VideoInfo
from gaze_vlm.gaze.samples import GazeSamples
from gaze_vlm.preparation.gaze_time import check_actions, check_start, check_times
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.prepare_recording import PrepareRecording
from gaze_vlm.preparation.runner import prepare

VIDEO = VideoInfo(320, 240, 360, 12.0, 30.0, Fraction(1, 90000), 0)
UNIX_S = 1.7e9


def gaze(t_s: np.ndarray) -> GazeSamples:
    count = len(t_s)
    return GazeSamples(t_s, np.full((count, 2), 0.5), np.zeros(count, dtype=np.uint8))


@pytest.mark.parametrize(
    ("scale", "start_s", "said"),
    [
        (1e3, 0, "gaze spans 0 to 11,967 s and the video 0 to 12 s; are the times in milliseconds?"),
        (1e6, 0, "gaze spans 0 to 11,966,667 s .* are the times in microseconds?"),
        (1e9, 0, "are the times in nanoseconds?"),
        (30, 0, "are the times in frames?"),
        (1, UNIX_S, "1,700,000,000 to 1,700,000,012 s .* are the times Unix time in seconds?"),
        (1e3, UNIX_S, "are the times Unix time in milliseconds?"),
        (1e9, UNIX_S, "are the times Unix time in nanoseconds?"),
        (1e3, 3600, "3,600,000 to 3,611,967 s .* are the times in milliseconds?"),
        (1, 3600, "is it gaze of another recording, or of another clock?"),
        (1, -3600, "-3,600 to -3,588 s .* is it gaze of another recording"),
    ],
)
def test_the_likely_mistake_is_named(scale: float, start_s: float, said: str) -> None:
    t_s = (start_s + np.arange(0, 12, 1 / 30)) * scale
    with pytest.raises(ValueError, match=rf"g.csv: \d+ of 360 samples are inside the video, .*{said}"):
        check_times(Path("g.csv"), gaze(t_s), VIDEO)


def test_a_first_frame_a_little_late_passes() -> None:
    check_start(Path("v.mp4"), replace(VIDEO, offset_s=0.1))
    with pytest.warns(UserWarning, match=r"v\.mp4: its first frame is 0\.12 s after the start of the file"):
        check_start(Path("v.mp4"), replace(VIDEO, offset_s=0.12))


def test_a_fast_trackers_times_in_frames() -> None:
    """Several samples a frame, so that more than two a second seem to be inside."""
    times = gaze(np.floor(30 * np.arange(0, 12, 1 / 200)))
    with pytest.raises(ValueError, match=r"87 of 2400 samples are inside the video, .*are the times in frames\?"):
        check_times(Path("g.csv"), times, VIDEO)
    check_times(Path("g.csv"), gaze(np.arange(0, 600, 1 / 200)), VIDEO)  # of a longer session


@pytest.mark.parametrize(
    ("scale", "start_s", "said"),
    [
        (1e3, 0, "1 of 6 actions begin inside the video, for they span 0 to 12,000 s .*the times in milliseconds"),
        (30, 0, "are the times in frames"),
        (1, UNIX_S, "0 of 6 actions .* are the times Unix time in seconds"),
        (1, 3600, "is it actions of another recording"),
    ],
)
def test_actions_of_other_times_are_refused(scale: float, start_s: float, said: str) -> None:
    actions = [
        Action((start_s + 2 * i) * scale, (start_s + 2 * i + 2) * scale, "cut red cup", None, None) for i in range(6)
    ]
    with pytest.raises(ValueError, match=rf"v.mp4: .*{said}"):
        check_actions(actions, Path("v.mp4"), VIDEO)


def test_actions_of_a_longer_recording_pass() -> None:
    every_second = [Action(i, i + 1, "cut red cup", None, None) for i in range(30)]
    check_actions(every_second, Path("v.mp4"), VIDEO)
    check_actions([], Path("v.mp4"), VIDEO)


@pytest.mark.parametrize("length_s", [3, 48])
def test_the_unit_of_gaze_that_is_shorter_or_longer(length_s: float) -> None:
    with pytest.raises(ValueError, match=r"are the times in milliseconds\?"):
        check_times(Path("g.csv"), gaze(np.arange(0, length_s, 1 / 30) * 1e3), VIDEO)


@pytest.mark.parametrize(
    "t_s",
    [
        np.arange(0, 12, 1 / 30),
        np.arange(0, 0.5, 1 / 30),  # ends long before the video
        np.arange(0, 3600, 1 / 30),  # goes on long after it
        np.arange(-6, 6, 1 / 30),
        np.arange(5, 80, 0.2),  # late, and at 5 Hz
        np.array([]),
    ],
)
def test_gaze_that_is_shorter_or_longer_passes(t_s: np.ndarray) -> None:
    check_times(Path("g.csv"), gaze(t_s), VIDEO)


def test_the_bound() -> None:
    """A tenth of the samples, and two a second of the video."""

    def check(inside: int, outside: int) -> None:
        check_times(Path("g.csv"), gaze(np.r_[np.linspace(0, 12, inside), np.linspace(100, 200, outside)]), VIDEO)

    with pytest.raises(ValueError, match="23 of 1000 samples are inside"):
        check(23, 977)
    check(24, 976)
    with pytest.raises(ValueError, match="9 of 100 samples are inside"):
        check(9, 91)
    check(10, 90)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", [texture(3)[:96, :128]] * 48)


def folder(root: Path, video: Path, tables: dict[str, str]) -> FolderReader:
    """A folder of one video with these files of gaze."""
    (root / "videos").mkdir(parents=True)
    (root / "videos" / "v.mp4").hardlink_to(video)
    for name, text in tables.items():
        (root / "gaze" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "gaze" / name).write_text(text)
    (root / "captions.csv").write_text("video_id,start_s,end_s,text\nv,0,2,cuts\n")
    return FolderReader(root)


def generic(root: Path, video: Path) -> Reader:
    rows = "".join(f"{k * 10},0.5,{0.5 + k * 1e-6}\n" for k in range(200))
    return folder(root, video, {"v.csv": f"t_s,x,y\n{rows}"})


def pupil(root: Path, video: Path) -> Reader:
    """The gaze of one recording beside the clock of another, an hour earlier."""
    start_ns = 1_700_000_000_000_000_000
    rows = "".join(f"{start_ns + k * 10_000_000},64,{48 + k % 9}\n" for k in range(200))
    world = f"timestamp [ns]\n{start_ns - 3_600_000_000_000}\n"
    table = f"timestamp [ns],gaze x [px],gaze y [px]\n{rows}"
    return folder(root, video, {"v/gaze.csv": table, "v/world_timestamps.csv": world})


def pupil_core(root: Path, video: Path) -> Reader:
    """The gaze of one recording beside the clock of another, an hour earlier."""
    rows = "".join(f"{9000 + k / 100},0.5,{0.5 + k * 1e-4},1\n" for k in range(200))
    table = f"gaze_timestamp,norm_pos_x,norm_pos_y,confidence\n{rows}"
    world = "# timestamps [seconds],pts\n5400,0\n"
    return folder(root, video, {"v/gaze_positions.csv": table, "v/world_timestamps.csv": world})


def tobii2(root: Path, video: Path) -> Reader:
    """Times of gaze in milliseconds, that of the video's start in microseconds."""
    rows = "".join(f'{{"ts":{1000 + k * 10},"s":0,"gp":[0.5,0.5]}}\n' for k in range(200))
    return folder(root, video, {"v/livedata.json": f'{{"ts":1000000,"s":0,"vts":0}}\n{rows}'})


def tobii3(root: Path, video: Path) -> Reader:
    """Times of the unit's clock."""
    rows = (f'{{"type":"gaze","timestamp":{1e4 + k / 100},"data":{{"gaze2d":[0.5,0.5]}}}}\n' for k in range(200))
    return folder(root, video, {"v/gazedata": "".join(rows)})


def egoexo4d(root: Path, video: Path) -> Reader:
    """Rows numbered by the device's clock in ms instead of the take's frames."""
    rows = "".join(f"{(500 + k) * 100},704,704\n" for k in range(20))
    return folder(root, video, {"v/general_eye_gaze_2d.csv": f"frame_num,x,y\n{rows}"})


def ego4d(root: Path, video: Path) -> Reader:
    uid = "0d271871-c8ba-4249-9434-d39ce0060e58"
    write_ego4d(root, [uid], videos=False)
    (root / "v2" / "full_scale" / f"{uid}.mp4").unlink()
    (root / "v2" / "full_scale" / f"{uid}.mp4").hardlink_to(video)
    rows = "".join(f"{gaze_row(k * 5.0, 0.5, 0.5)}\n" for k in range(400))
    (root / "v2" / "gaze" / f"{uid}.csv").write_text(f"{HEADER}\n{rows}")
    return Ego4dReader(root)


def egtea(root: Path, video: Path) -> Reader:
    """The gaze of a part of the session that comes later."""
    (root / "videos").mkdir(parents=True)
    (root / "videos" / "P01-R01-Pizza.mp4").hardlink_to(video)
    rows = "".join(row_31(600 + k / 30, 640, 480, round((600 + k / 30) * 24 - 0.5), "Fixation") for k in range(60))
    (root / "gaze_data").mkdir()
    (root / "gaze_data" / "P01-R01-Pizza.txt").write_text(PREAMBLE + rows)
    write_annotations(root, ["P01-R01-Pizza"], 2)
    return EgteaReader(root)


@pytest.mark.parametrize("make", [generic, pupil, pupil_core, tobii2, tobii3, egoexo4d, ego4d, egtea])
def test_every_reader_is_checked(tmp_path: Path, video: Path, make: object) -> None:
    reader = make(tmp_path / "root", video)  # type: ignore[operator]
    recording = reader.recordings()[0]
    outcome = PrepareRecording(reader, tmp_path / "store", PreparationParameters())(recording, lambda share: None)
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"{recording.gaze}: ")
    assert "samples are inside the video, for gaze spans" in outcome.reason


def test_a_wrong_clock_is_quarantined_and_missing_gaze_warned_of(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    generic(root, video)
    for seed, (name, rate) in enumerate((("a", 100), ("b", 100), ("c", 1))):  # of c only one sample is in a window
        write_video(root / "videos" / f"{name}.mp4", [texture(seed)[:96, :128]] * 48)
        rows = "".join(f"{k / rate},0.5,{0.5 + k * 1e-6}\n" for k in range(2 * rate))
        (root / "gaze" / f"{name}.csv").write_text(f"t_s,x,y\n{rows}")
    captions = "".join(f"{name},0,2,cuts\n" for name in "abcv")
    (root / "captions.csv").write_text(f"video_id,start_s,end_s,text\n{captions}")
    parameters = PreparationParameters(
        observation_s=1, anticipation_s=0, split_fractions=(0.5, 0.0, 0.5), max_quarantined=0.25
    )
    store = prepare("folder", root, tmp_path / "store", parameters, workers=1)
    reason = json.loads((store / "quarantine.jsonl").read_text())["reason"]
    assert "0 to 1,990 s and the video 0 to 2 s; are the times in milliseconds?" in reason
    assert "; valid gaze in 83.3 % of the sampled frames; 1 videos quarantined" in capsys.readouterr().out
    for name in "ab":
        (root / "gaze" / f"{name}.csv").write_text("t_s,x,y\n" + "".join(f"{k / 100},0.5,0.5\n" for k in range(50)))
    with pytest.warns(UserWarning, match=r"valid gaze in 16.7 % .*; under a half in 2 of 3 videos \(a, b\)"):
        prepare("folder", root, store, parameters, workers=1)
    assert "; valid gaze in 16.7 % of the sampled frames; " in capsys.readouterr().out.splitlines()[-1]
    report = json.loads((store / "quality.json").read_text())
    assert report["frames"]["valid_gaze_share"] == pytest.approx(1 / 6)
    assert report["by_video"]["c"]["frames"]["valid_gaze_share"] == 0.5
