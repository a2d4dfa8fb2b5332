"""A folder of one's own, from its files to a store; saccades are found by velocity on the way."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from egtea_files import texture, write_late, write_video
from gaze_vlm.cli import main
from gaze_vlm.formats import video_header
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store
from training_files import ROOT

PARAMETERS = PreparationParameters(
    observation_s=2, anticipation_s=1, split_fractions=(0.5, 0, 0.5), max_quarantined=0.5
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three videos of five seconds; at 100 Hz gaze jumps 0.03 s before 2 s, and is lost after 3 s. One is empty."""
    rows, captions = ["t_s,x,y,event"], ["video_id,start_s,end_s,text,verb,noun"]
    for k in range(300):
        rows.append(f"{k / 100},{(0.2 if k < 197 else 0.8) + k * 1e-6},0.5,{'blink' if k == 290 else ''}")
    (tmp_path / "root" / "gaze").mkdir(parents=True)
    for seed, name in enumerate(("a", "b", "c")):
        write_video(tmp_path / "root" / "videos" / f"{name}.mp4", [texture(seed)[:96, :128]] * 120)
        (tmp_path / "root" / "gaze" / f"{name}.csv").write_text("\n".join(rows))
        captions += [f"{name},0,2.5,cuts an onion,cut,onion", f"{name},2.5,5,washes a cup,wash,cup"]
    (tmp_path / "root" / "videos" / "c.mp4").write_bytes(b"")
    (tmp_path / "root" / "captions.csv").write_text("\n".join(captions))
    return tmp_path / "root"


def test_a_store(root: Path, tmp_path: Path) -> None:
    store = Store(prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1))
    assert sorted(store.manifest.videos) == ["a", "b"]
    assert "c.mp4: cannot be decoded" in (tmp_path / "store" / "quarantine.jsonl").read_text()
    assert (store.manifest.verbs, store.manifest.nouns) == (("cut", "wash"), ("cup", "onion"))
    event = store.video("a").event
    assert (event[1] == GazeEvent.SACCADE).sum() == 3  # the spans of velocity, 30 ms, that hold the jump
    assert (event[1] == GazeEvent.FIXATION).sum() == 17
    assert (event[2] == GazeEvent.BLINK).sum() == 1
    assert (event[3:] == GazeEvent.UNTRACKED).all()  # gaze ends before the video
    assert {clip.activity_verb for clip in store.clips} == {"cut", "wash"}
    shares = json.loads((tmp_path / "store" / "quality.json").read_text())["samples"]["event_shares"]
    assert shares["blink"] == pytest.approx(1 / 59)
    assert shares["saccade"] == pytest.approx(3 / 59)
    assert shares["fixation"] == pytest.approx(55 / 59)


def test_a_video_that_starts_after_its_sound_is_warned_of(root: Path, tmp_path: Path) -> None:
    """Players count from the start of the file: what was timed in one is late."""
    (root / "videos" / "a.mp4").unlink()
    write_late(root / "videos" / "a.mkv", [texture(0)[:96, :128]] * 120)
    said = r"a: .*a\.mkv: its first frame is 0\.50 s after the start of the file, .* subtract 0\.50 s from those that"
    with pytest.warns(UserWarning, match=said) as caught:
        prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1)
    assert sum("its first frame" in str(one.message) for one in caught) == 1


def test_a_video_in_hdr(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_header, "HDR", {2: "PQ"})  # the curve of a file that names none
    with pytest.warns(UserWarning, match=r"[ab]: .*[ab]\.mp4: its light is coded in HDR \(PQ\).* Convert it to SDR"):
        prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1)


def test_a_file_of_two_videos(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_header, "possible_videos", lambda container: [*container.streams.video] * 2)
    with pytest.warns(UserWarning, match=r"[ab]: .*[ab]\.mp4: it holds 2 videos, and the first is taken"):
        prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1)


def test_a_video_that_lacks_frames(root: Path, tmp_path: Path) -> None:
    """Gaze goes on where a recording paused, and would be laid on its last frame, however rarely frames are sampled."""
    pts = [100 * k + (3000 if k >= 33 else 0) for k in range(120)]
    write_video(root / "videos" / "a.mp4", [texture(0)[:96, :128]] * 120, pts)
    places = "".join(f"{k / 30},{0.3 + k / 1000},0.5\n" for k in range(240))
    (root / "gaze" / "a.csv").write_text(f"t_s,x,y\n{places}")
    said = r"for 1 s or more in 1 of 2 videos \(a: 1\.3 to 2\.6 s\): are frames missing there\? Gaze of these seconds"
    with pytest.warns(UserWarning, match=said):
        prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1)


def test_the_aspect_of_pixels_that_are_not_square(root: Path, tmp_path: Path) -> None:
    """Else a Gaussian of gaze, round where a player shows it, is an ellipse."""
    write_video(root / "videos" / "a.mp4", [texture(0)[:96, :96]] * 120, pixel_aspect=Fraction(4, 3))
    videos = Store(prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1)).manifest.videos
    assert (videos["a"].aspect, videos["b"].aspect) == (128 / 96, 128 / 96)


def test_one_video_by_two_names_is_refused(root: Path, tmp_path: Path) -> None:
    (root / "videos" / "b.mp4").unlink()
    (root / "videos" / "b.mp4").hardlink_to(root / "videos" / "a.mp4")
    with pytest.raises(ValueError, match=r"a.mp4 and .*b.mp4 are the same video, .*: delete one of them"):
        prepare("folder", root, tmp_path / "store", PARAMETERS, workers=1)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_warning_of_many_videos_is_said_once(root: Path, tmp_path: Path, workers: int) -> None:
    captions, video = ["video_id,start_s,end_s,text"], (root / "videos" / "a.mp4").read_bytes()
    for name in ("a", "b", "c", "d", "e"):
        (root / "videos" / f"{name}.mp4").write_bytes(b"" if name == "e" else video + name.encode())  # none twice
        (root / "gaze" / f"{name}.csv").write_text("t_s,x,y\n" + "".join(f"{k / 100},0.7,0.6\n" for k in range(500)))
        captions += [f"{name},0,2.5,cuts an onion", f"{name},2.5,5,washes a cup"]
    (root / "captions.csv").write_text("\n".join(captions))
    with pytest.warns(UserWarning, match="places are exactly") as caught:
        prepare("folder", root, tmp_path / "store", PARAMETERS, workers=workers)
    (said,) = [str(one.message) for one in caught if "exactly" in str(one.message)]
    assert said == (
        f"a: {root / 'gaze' / 'a.csv'}: 100 % of the places are exactly (0.7, 0.6): leave x and y of lost samples "
        "empty (and so for 4 others: b, c, d, …)"
    )


def test_events_may_stay_unknown(root: Path, tmp_path: Path) -> None:
    parameters = replace(PARAMETERS, saccade_velocity=None)
    store = Store(prepare("folder", root, tmp_path / "store", parameters, workers=1))
    assert (store.video("a").event[1] == GazeEvent.UNKNOWN).sum() == 20


def test_the_shipped_configuration(root: Path, tmp_path: Path) -> None:
    config = ROOT / "lightning_configs" / "folder" / "preparation.yaml"
    options = [f"--root={root}", f"--store={tmp_path / 'store'}", "--workers=1", "--parameters.max_quarantined=0.5"]
    options += ["--parameters.observation_s=2", "--parameters.split_fractions=[0.5, 0, 0.5]"]
    assert main(["prepare", f"--config={config}", *options]) == 0
    assert Store(tmp_path / "store").manifest.dataset == "folder"


def test_a_store_of_videos_with_names_of_any_script(root: Path, tmp_path: Path) -> None:
    for name, new in (("a", "台所 1"), ("b", "küche")):
        (root / "videos" / f"{name}.mp4").rename(root / "videos" / f"{new}.mp4")
        (root / "gaze" / f"{name}.csv").rename(root / "gaze" / f"{new}.csv")
        captions = (root / "captions.csv").read_text(encoding="utf-8").replace(f"{name},", f"{new},")
        (root / "captions.csv").write_text(captions, encoding="utf-8")
    parameters = replace(PARAMETERS, split_fractions=(1, 0, 0))
    store = Store(prepare("folder", root, tmp_path / "store", parameters, workers=1))
    files = {entry.path for entry in store.manifest.videos.values()}
    assert files == {"videos/台所 1.mp4", "videos/küche.mp4"}
    report = json.loads((tmp_path / "store" / "quality.json").read_text(encoding="utf-8"))
    assert {row["file"] for row in report["by_video"].values()} == files
    assert all(store.video_path(video_id).is_file() for video_id in store.manifest.videos)
