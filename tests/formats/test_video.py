"""Frames by their timestamps, on videos whose frame rate varies, and damaged videos."""

from pathlib import Path

import av
import numpy as np
import pytest

from egtea_files import TICKS_S, iterate_frames, shift_px, spoil, texture, write_video
from gaze_vlm.errors import InputError
from gaze_vlm.formats.reencode import reencoder
from gaze_vlm.formats.video import frames_at, in_order, timed_frames
from gaze_vlm.formats.video_header import video_info

FRAMES = 150


@pytest.fixture(scope="module", params=[12, 250], ids=["short gop", "one key frame"])
def variable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose frames last 1/24 s or 1/12 s, at random."""
    ticks = np.random.default_rng(0).choice([100, 200], FRAMES).cumsum()
    image = texture(0)
    images = [image[:96, shift_px(i) :][:, :128] for i in range(FRAMES)]
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", images, ticks - ticks[0], gop=request.param)


def test_info(variable: Path) -> None:
    info = video_info(variable)
    assert (info.width_px, info.height_px, info.frames) == (128, 96, FRAMES)
    assert info.duration_s == pytest.approx(FRAMES * 150 / TICKS_S, rel=0.1)


@pytest.mark.parametrize("name", ["10:30.mp4", "file:a.mp4", "concat:a|b.mp4", "a%03d.mp4"])
def test_a_name_that_could_be_an_address(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path within the working folder is of a file, whatever stands before a colon."""
    monkeypatch.chdir(tmp_path)
    made = write_video(tmp_path / "v.mp4", [texture(0)] * 3, np.arange(3) * 100)
    video = Path(name)
    made.rename(video)
    copy = Path(f"copy {name}")
    with reencoder(copy, video_info(video), 64, 12) as write:
        for frame in timed_frames(video):
            write(frame)
    assert len(list(timed_frames(copy))) == 3


def test_frames_at_pts_are_exact_on_a_variable_frame_rate(variable: Path) -> None:
    frames = list(iterate_frames(variable))
    pts = [frame[0] for frame in frames]
    assert pts == sorted(pts)
    assert len(set(np.diff(pts))) > 1
    generator = np.random.default_rng(1)
    for _ in range(10):
        chosen = np.sort(generator.choice(FRAMES, 4, replace=False))
        images = frames_at(variable, [pts[i] for i in chosen])
        np.testing.assert_array_equal(images, [frames[i][2] for i in chosen])
    every = frames_at(variable, pts)
    np.testing.assert_array_equal(every, [frame[2] for frame in frames])


def test_size_of_the_result(variable: Path) -> None:
    assert frames_at(variable, [0], width_px=64, height_px=32).shape == (1, 32, 64, 3)


@pytest.mark.parametrize("pts", [[], [5000, 0]])
def test_timestamps_must_ascend(variable: Path, pts: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        frames_at(variable, pts)


def test_frames_of_a_video_without_key_frames(tmp_path: Path) -> None:
    """Its pictures are refreshed column by column: each frame is whole, also where it is looked for alone."""
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        options = {"x264-params": "intra-refresh=1:keyint=20:bframes=0:threads=1"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for i in range(FRAMES):
            image = np.ascontiguousarray(texture(0)[:96, i:][:, :128])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    frames = list(iterate_frames(path))
    assert len(frames) == FRAMES
    for pts, _, image in frames[6::20]:
        np.testing.assert_array_equal(frames_at(path, [pts])[0], image)


def test_unknown_timestamp(variable: Path) -> None:
    with pytest.raises(ValueError, match=r"v.mp4: no frame with pts 1"):
        frames_at(variable, [1])


def test_damaged_videos_name_the_file(variable: Path, tmp_path: Path) -> None:
    content = variable.read_bytes()
    for name, data in [
        ("empty.mp4", b""),
        ("noise.mp4", b"no video at all" * 99),
        ("cut.mp4", content[: len(content) // 2]),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}: cannot be decoded"):
            list(iterate_frames(tmp_path / name))
    with pytest.raises(ValueError, match=r"none.mp4: cannot be decoded \(No such file"):
        video_info(tmp_path / "none.mp4")


def test_video_that_ends_early(tmp_path: Path) -> None:
    """A cut file whose header survives: mp4 with the header in front."""
    path = write_video(tmp_path / "whole.mp4", [texture(0)[:96, shift_px(i) :][:, :128] for i in range(120)])
    front = tmp_path / "front.mp4"
    with av.open(str(path)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = front.read_bytes()
    front.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ValueError, match=r"front.mp4: (cut short|cannot be decoded)"):
        list(iterate_frames(front))


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
@pytest.mark.parametrize("packets", [[0], [17], [24], [30, 50], [95]])
def test_damage_costs_the_frames_up_to_the_next_key_frame(tmp_path: Path, codec: str, packets: list[int]) -> None:
    path = write_video(
        tmp_path / "v.mp4", [texture(0)[:96, shift_px(i) :][:, :128] for i in range(96)], gop=12, codec=codec
    )
    pictures = {pts: image for pts, _, image in iterate_frames(path)}
    spoilt = {spoil(path, packet) for packet in packets}
    frames = list(timed_frames(path))
    assert [frame.pts for frame in frames] == list(pictures)
    damaged = {frame.pts for frame in frames if frame.frame is None}
    tick = frames[1].pts
    lost = {pts for start in spoilt for pts in range(start, (start // (12 * tick) + 1) * 12 * tick, tick)}
    held_back = {start - k * tick for start in spoilt for k in range(1, 7)}
    assert lost <= damaged <= lost | held_back
    for pts, _, image in iterate_frames(path):
        np.testing.assert_array_equal(image, pictures[pts])
    sound = [pts for pts in pictures if pts not in damaged]
    np.testing.assert_array_equal(frames_at(path, sound[::7]), [pictures[pts] for pts in sound[::7]])
    with pytest.raises(ValueError, match="no frame with pts"):
        frames_at(path, [min(spoilt)])


def test_a_file_in_which_nothing_can_be_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [texture(0)[:96, :128]] * 24, gop=250)
    spoil(path, 0)
    assert {frame.frame for frame in timed_frames(path)} == {None}


def test_timestamps_that_run_backwards(variable: Path) -> None:
    frames = [(pts, None) for pts in (0, 10, 10)]
    with pytest.raises(ValueError, match=r"timestamps run backwards at .* s; write the video anew"):
        list(in_order(frames, video_info(variable), variable))


def test_a_codec_that_nothing_decodes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [texture(0)[:96, :128]] * 2)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(InputError, match=r"a\.mp4: its codec is unknown; copy the file again, or convert it"):
        video_info(path)
