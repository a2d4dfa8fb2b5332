"""The video with attention and captions drawn in: every frame at its own time, upright, on the right map."""

import resource
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from egtea_files import TICKS_S, iterate_frames, shift_px, texture, turn, write_late, write_video
from gaze_vlm.cli import main
from gaze_vlm.errors import InputError, OutputError
from gaze_vlm.gaze.lettering import LINE_PX
from gaze_vlm.gaze.overlay import coloured, laid_on, resized
from gaze_vlm.gaze.view import View
from gaze_vlm.inference import caption, overlay
from gaze_vlm.inference.caption_file import Caption, CaptionFile, MadeOf
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.overlay import PANEL_PX, TITLE_PX, OverlayScene, read_scenes, write_overlay
from gaze_vlm.inference.subtitles import cues
from gaze_vlm.inference.videos import PlannedVideo, plan
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.output import draft_name

TIMES = WindowTimes(observation_s=2.0, stride_s=1.0, frame_hz=1.0)


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phone's portrait of a variable frame rate, 3.5 s."""
    whole, ticks = texture(0), np.random.default_rng(0).choice([200, 400], 28).cumsum()
    images = [whole[:64, shift_px(i) :][:, :96] for i in range(28)]
    path = write_video(tmp_path_factory.mktemp("videos") / "phone.mp4", images, ticks - ticks[0])
    return turn(path, (0, 1, -1, 0))


def planned(path: Path) -> PlannedVideo:
    (video,), left_out = plan({path.name: path}, TIMES)
    assert not left_out
    return video


def test_every_frame_is_there_upright_at_its_own_time(phone: Path, tmp_path: Path) -> None:
    output = tmp_path / "captions.jsonl"
    options = [f"--videos={phone.parent}", f"--output={output}", "--observation_s=2", "--stride_s=1", "--device=cpu"]
    assert main(["caption", "--model=kitchen-llava", *options, "--overlay"]) == 0
    with av.open(str(tmp_path / "phone.captions.mp4")) as container:
        found = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    frames = list(iterate_frames(phone))
    assert [t_s for t_s, _ in found] == pytest.approx([t_s for _, t_s, _ in frames], abs=1e-3)
    panel_px = 2 * round(96 * PANEL_PX / 64 / 2)
    assert found[0][1].shape == (
        TITLE_PX + panel_px + 2 * LINE_PX,
        3 * PANEL_PX,
        3,
    )  # the frame, and a panel a question
    for (_, image), (_, t_s, frame) in zip(found, frames, strict=True):
        shown = image[TITLE_PX : TITLE_PX + panel_px, :PANEL_PX].astype(int)
        assert np.abs(shown - resized(np.moveaxis(frame, 2, 0), PANEL_PX)).mean() < 8
        assert (image[-2 * LINE_PX :].max() > 200) == (t_s <= 3 + 1e-6)  # the answers, until the last window's end
    before = (tmp_path / "phone.captions.mp4").stat().st_mtime_ns
    assert main(["caption", "--model=kitchen-llava", *options, "--overlay"]) == 0
    assert (tmp_path / "phone.captions.mp4").stat().st_mtime_ns == before


def captions_of(video: PlannedVideo, questions: int = 1, answer: str = "nothing") -> list[Caption]:
    spans = [(video.as_played(end_s - 2), video.as_played(end_s)) for end_s in video.ends_s]
    return [Caption(video.name, *span, None, f"what {n} ?", answer) for span in spans for n in range(questions)]


def test_a_late_video_is_shown_as_played_and_its_first_frame_from_0(tmp_path: Path) -> None:
    images = [np.full((64, 96, 3), 60 + 8 * number, np.uint8) for number in range(20)]
    video = planned(write_late(tmp_path / "late.mkv", images, TICKS_S // 8))
    output = tmp_path / "captions" / "late.mp4"
    output.parent.mkdir()
    draft_name(output).write_bytes(b"of a killed writer")
    write_overlay(video, captions_of(video), load_backbone("kitchen-llava"), TIMES, output)
    with av.open(str(output)) as container:
        assert container.start_time == 0
        found = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert [t_s for t_s, _ in found] == pytest.approx([0.0, *(0.5 + number / 8 for number in range(20))], abs=2e-3)
    shown = [image[TITLE_PX + 20, 20].mean() for _, image in found]
    assert shown == pytest.approx([60, *(image[0, 0, 0] for image in images)], abs=6)
    assert [*output.parent.iterdir()] == [output]


@pytest.mark.parametrize(
    ("questions", "answer", "size"), [(42, "no", "16512×310"), (1, "no " * 20000, r"768×17\d\d\d")]
)
def test_a_picture_that_h264_does_not_take_is_refused(
    questions: int, answer: str, size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = planned(write_video(tmp_path / "wide.mp4", [np.zeros((64, 96, 3), np.uint8)] * 48))
    scene = OverlayScene(cues(captions_of(video, 1, answer))[0], np.ones(1), np.ones((1, 1, 1, 1)))
    monkeypatch.setattr(overlay, "read_scenes", lambda *_: [scene])
    with pytest.raises(InputError, match=f"wide.mp4: its overlay would be {size}.* ask fewer questions at once"):
        write_overlay(
            video,
            captions_of(video, questions, answer),
            load_backbone("kitchen-llava", language_layers=(-1,)),
            TIMES,
            tmp_path / "wide.captions.mp4",
        )


def test_an_overlay_of_others_stays_and_one_that_was_begun_is_written(
    phone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [replace(planned(phone), name=name) for name in ("begun", "done", "new", "others", "unreadable")]
    paths = {video.name: tmp_path / f"{video.name}.mp4" for video in videos}
    noted = []

    def write(video: PlannedVideo, *_: object) -> None:
        noted.append(file.made_of.overlays)
        if video.name == "unreadable":
            raise InputError("it is unreadable")
        paths[video.name].write_text("ours")

    monkeypatch.setattr(caption, "write_overlay", write)
    made_of = MadeOf("kitchen-llava", {}, {}, overlays=("begun", "done"))
    file = CaptionFile(tmp_path / "captions.jsonl", [], made_of)
    for name in ("done", "others"):
        paths[name].write_text("before")
    failed = caption.write_overlays(file, videos, dict.fromkeys(paths, ()), paths, None, TIMES, None)
    assert failed == {
        "others": f"no overlay: {paths['others']} is there already: delete it, or name another --output",
        "unreadable": "no overlay: it is unreadable",
    }
    assert noted == [("begun", "done"), ("begun", "done", "new"), ("begun", "done", "new", "unreadable")]
    assert {path.stem: path.read_text() for path in tmp_path.glob("*.mp4")} == {
        "begun": "ours",
        "done": "before",
        "new": "ours",
        "others": "before",
    }


def test_a_full_disk_names_the_overlay(phone: Path, tmp_path: Path) -> None:
    """As a limit on the size of files gives it."""
    video, limits = planned(phone), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"/phone.captions.mp4 cannot be written \(File too large\)"):
            write_overlay(
                video, captions_of(video), load_backbone("kitchen-llava"), TIMES, tmp_path / "phone.captions.mp4"
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [*tmp_path.iterdir()]


def test_a_map_is_that_of_the_nearest_sampled_frame(phone: Path) -> None:
    backbone = load_backbone("kitchen-llava", language_layers=(-1,))
    spans = [(start_s, start_s + 2) for start_s in (0.0, 1.0)]
    captions = [Caption("phone.mp4", *span, None, "what does the hand hold ?", "nothing") for span in spans]
    video = planned(phone)
    scenes = list(read_scenes(video, captions, 1, backbone, TIMES, None))
    assert [(scene.cue.start_s, scene.cue.end_s) for scene in scenes] == [(0.0, 2.0), (2.0, 3.0)]
    assert [scene.sampled_s.tolist() for scene in scenes] == [[1.0, 2.0], [2.0, 3.0]]
    assert [scenes[0].nearest(t_s) for t_s in (0.0, 1.4, 1.6)] == [0, 0, 1]
    for scene in scenes:
        np.testing.assert_allclose(scene.maps.mean((2, 3)), 1, rtol=1e-5)  # multiples of the uniform one
    late = replace(video, info=replace(video.info, offset_s=0.5))
    moved = [replace(one, start_s=one.start_s + 0.5, end_s=one.end_s + 0.5) for one in captions]
    again = list(read_scenes(late, moved, 1, backbone, TIMES, None))
    np.testing.assert_array_equal([scene.maps for scene in again], [scene.maps for scene in scenes])
    assert [scene.cue.start_s for scene in again] == [0.0, 2.0]


def test_colours_lie_where_the_map_is() -> None:
    map_ = np.array([[0.0, 4.0], [0.0, 0.0]])
    grey = np.full((40, 60, 3), 128, np.uint8)
    drawn = laid_on(grey, coloured(map_, View(), lambda cells: cells / 4, 40, 60))
    assert np.ptp(drawn[:20, :30], axis=(0, 1)).max() == 0
    assert drawn[10, 45, 0] > drawn[10, 45, 2] + 50  # red
    assert (drawn[30, 45] == drawn[10, 15]).all()


def test_an_overlay_among_the_videos_is_refused(phone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = phone.parent / "captions.jsonl"
    assert main(["caption", "--model=x", f"--videos={phone.parent}", f"--output={output}", "--overlay"]) == 1
    assert "--overlay writes videos beside" in capsys.readouterr().err
    assert not output.exists()
