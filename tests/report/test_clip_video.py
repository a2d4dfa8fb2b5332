"""The video of a clip: every frame of its span, drawn on, in a file that browsers play."""

import re
from pathlib import Path

import av
import numpy as np
import pytest

from gaze_vlm.cli import main
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.formats.video import frames_between, timed_frames
from gaze_vlm.gaze import lettering
from gaze_vlm.gaze.lettering import one_line, text_image, wrapped
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.clip_video import BAR_PX, PANEL_PX, bar, names_of


def test_the_video_has_every_frame_of_the_clip_at_its_own_time(compared: Path, prepared: Path, tmp_path: Path) -> None:
    runs = [compared.parent / "runs" / arm / "seed0" for arm in ("control", "gaze", "baseline")]
    clip_id = read_run(runs[0]).predictions[0].clip_id
    output = tmp_path / "clip.mp4"
    assert main(["report", "--clip", clip_id, f"--output={output}", "--runs", *map(str, runs)]) == 0
    store = Store(prepared)
    record = next(one for one in store.clips if one.clip_id == clip_id)
    video = store.video_path(record.video_id)
    times_s = [one.t_s for one in timed_frames(video) if record.start_s - 1e-6 <= one.t_s <= record.end_s + 1e-6]
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        found = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.width == 3 * PANEL_PX  # the baseline has no attention
    assert [time for time, _ in found] == pytest.approx([t_s - times_s[0] for t_s in times_s], abs=1e-3)
    content = output.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    images = [image[100:200].astype(int) for _, image in (found[0], found[-1])]
    before, last = (np.abs(image[:, :PANEL_PX] - image[:, PANEL_PX : 2 * PANEL_PX]).mean() for image in images)
    assert before < 10 < last  # nothing lies on the frames before the first sampled one


def test_runs_are_named_by_their_arms_where_these_differ(compared: Path) -> None:
    gaze, control = (compared.parent / "runs" / arm / "seed0" for arm in ("gaze", "control"))
    assert list(names_of([gaze, control])) == ["gaze", "control"]
    assert list(names_of([gaze])) == ["gaze"]


def test_a_span_begins_and_ends_at_its_frames(raw_root: Path) -> None:
    video = next(raw_root.rglob("*.mp4"))
    frames = list(timed_frames(video))
    first, last = frames[7], frames[20]
    found = [pts for pts, _, _ in frames_between(video, first.t_s, last.t_s)]
    assert found == [one.pts for one in frames[7:21]]
    assert [pts for pts, _, _ in frames_between(video, 0, frames[2].t_s)] == [one.pts for one in frames[:3]]
    assert not list(frames_between(video, 1e4, 2e4))


def test_the_bar_grows_and_marks_the_sampled_frames() -> None:
    drawn = bar(0.5, [0.25, 1.0], 100)
    assert drawn.shape == (BAR_PX, 100, 3)
    assert drawn[0, 40].tolist() == [255, 0, 255]
    assert drawn[0, 60].tolist() == [0x50] * 3
    assert (drawn[0, [24, 97]] == 255).all()


def test_texts_of_any_script_are_drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "font_families", lambda: ["DejaVu Sans"])
    lettering.say_boxes.cache_clear()
    drawn = [text_image(["wash $x$ & <b>", "🍅 чашка 切る"], 300, 49) for _ in range(2)][1]
    assert re.fullmatch(r"letters that no font in use has are drawn as boxes: install .*\n", capsys.readouterr().err)
    assert drawn.shape == (50, 300, 3)
    assert drawn[:25].max() == drawn[25:].max() == 255


def test_a_line_has_half_as_many_wide_letters() -> None:
    assert wrapped("gaze: 切番茄洗碗 and go", 10, "  ", "    ") == ["  gaze: 切", "    番茄洗", "    碗 and", "    go"]
    assert wrapped("cuts an onion", 8) == ["cuts an", "onion"]


def test_a_title_without_spaces_is_cut_and_not_left_out() -> None:
    assert one_line("2026-05-01_kitchen_session_of_participant_12.mp4", 20) == "2026-05-01_kitchen_…"
    assert one_line("切番茄洗碗", 7) == "切番茄…"
    assert (one_line("cup.mp4", 8), one_line("", 8)) == ("cup.mp4", "")
