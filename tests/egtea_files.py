"""Small EGTEA Gaze+ files for the tests: moving texture, and gaze that follows one of its points."""

import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from gaze_vlm.formats.video import Pixels, timed_frames

WIDTH_PX, HEIGHT_PX = 128, 96
SPEED = {"libx264": {"preset": "veryfast"}, "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}}
TICKS_S = 2400  # time base of the test videos: fine enough for a variable frame rate
PREAMBLE = "".join(f"## line {i}:\t\n" for i in range(33))
HEADER_31 = "Time\tType\tTrial\tL POR X [px]\tL POR Y [px]\tFrame\tAux1\tL Event Info\n"
HEADER_34 = (
    "Time\tType\tTrial\tL Pupil Diameter [mm]\tR Pupil Diameter [mm]\tB POR X [px]\tB POR Y [px]\t"
    "L POR X [px]\t"
    "L POR Y [px]\tR POR X [px]\tR POR Y [px]\tL EPOS X\tL EPOS Y\tL EPOS Z\tR EPOS X\tR EPOS Y\tR EPOS Z\t"
    "L GVEC X\tL GVEC Y\tL GVEC Z\tR GVEC X\tR GVEC Y\tR GVEC Z\tTrigger\tFrame\tAux1\tB Event Info\n"
)

SESSIONS = ["P01-R01-Pizza", "P01-R02-Salad", "P02-R01-Pizza", "P02-R02-Salad"]


def texture(seed: int, height_px: int = 240, width_px: int = 480) -> np.ndarray:
    """Smooth noise, RGB: flow finds its way on it."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height_px, width_px, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.clip((smooth - smooth.mean()) * 5 + 128, 0, 255).astype(np.uint8)


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    pts: Sequence[int] | None = None,
    gop: int = 12,
    codec: str = "libx264",
    frame_hz: int = 24,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """h264 (or VP9, `libvpx-vp9`) in mp4; `pts` in 1 / 2400 s, at `frame_hz` if None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pts = [i * TICKS_S // frame_hz for i in range(len(images))] if pts is None else pts
    with av.open(str(path), "w") as container:
        options = {"g": str(gop), "crf": "18", "threads": "1", **SPEED[codec]}
        stream = container.add_stream(codec, rate=frame_hz, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_S)
        if pixel_aspect is not None:
            stream.sample_aspect_ratio = pixel_aspect
        for image, tick in zip(images, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = int(tick), Fraction(1, TICKS_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_late(path: Path, images: Sequence[np.ndarray], apart: int = TICKS_S // 24) -> Path:
    """Sound of four seconds, and half a second after its start the first of the frames, `apart` ticks apart."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_S)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * 4), np.int16), format="s16", layout="mono")
        samples.rate, samples.pts = 8000, 0
        container.mux(sound.encode(samples))
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = TICKS_S // 2 + number * apart, Fraction(1, TICKS_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    return path


def iterate_frames(path: Path) -> Iterator[tuple[int, float, np.ndarray]]:
    """(pts, t_s, RGB in [0, 255]) of all frames that are not damaged, decoded one after the other."""
    pixels = Pixels("rgb24")
    for timed in timed_frames(path):
        if timed.frame is not None:
            yield timed.pts, timed.t_s, pixels(timed.frame)


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Writes a display matrix (a, b, c, d) into the header of an mp4, as phones do: (0, 1, −1, 0) is a quarter turn
    clockwise."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # version, times, identity, layers and volume come before the matrix
    a, b, c, d = (value << 16 for value in matrix)
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def spoil(path: Path, packet: int) -> int:
    """Overwrites the bytes of one frame with zeros, as a bad copy leaves them, and returns its pts.

    `packet` counts from 0 in the order of the file.
    """
    with av.open(str(path)) as container:
        spoilt = [packet for packet in container.demux(video=0) if packet.size][packet]
        assert spoilt.pos is not None
        assert spoilt.pts is not None
    content = bytearray(path.read_bytes())
    content[spoilt.pos : spoilt.pos + spoilt.size] = bytes(spoilt.size)
    path.write_bytes(content)
    return spoilt.pts


def row_31(t_s: float, x_px: float, y_px: float, frame: int, event: str) -> str:
    """One sample of BeGaze 3.1."""
    return f"{round(t_s * 1e6) + 7_000_000}\tSMP\t1\t{x_px:.2f}\t{y_px:.2f}\t{frame}\t\t{event}\n"


def row_34(t_s: float, x_px: float, y_px: float, frame: int, event: str) -> str:
    """One sample of BeGaze 3.4."""
    point = f"{x_px:.2f}\t{y_px:.2f}"
    timecode = f"00:{frame // 1440:02d}:{frame // 24 % 60:02d}:{frame % 24:02d}"
    eyes = "\t".join(["0.10"] * 12)
    values = f"3.10\t3.20\t{point}\t{point}\t{point}\t{eyes}\t0\t{timecode}"
    return f"{round(t_s * 1e6) + 9_000_000}\tSMP\t1\t{values}\t\t{event}\n"


def write_gaze(
    path: Path,
    samples: Sequence[tuple[float, float, float, str]],
    version: str = "3.1",
    header: bool = True,
) -> Path:
    """A BeGaze export of samples (t_s, x_px, y_px, event)."""
    row: Callable[..., str] = row_31 if version == "3.1" else row_34
    lines = [PREAMBLE, (HEADER_31 if version == "3.1" else HEADER_34) if header else ""]
    lines += [row(t_s, x, y, int(t_s * 24 + 1e-6), event) for t_s, x, y, event in samples]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(lines).encode("latin-1"))
    return path


def shift_px(frame: int) -> int:
    """How far the camera has panned: 2 px a frame, there and back, turning between the seconds."""
    return 2 * abs((frame + 12) % 48 - 24)


def write_session(
    root: Path,
    session: str,
    seconds: int = 8,
    gaze_s: float | None = None,
    seed: int = 0,
    version: str = "3.1",
) -> None:
    """A panning video of a still texture; gaze at 30 Hz follows its point at x = 100 − shift px."""
    image = texture(seed)
    images = [image[:HEIGHT_PX, shift_px(i) :][:, :WIDTH_PX] for i in range(24 * seconds)]
    write_video(root / "videos" / f"{session}.mp4", images)
    samples = []
    for k in range(int((seconds if gaze_s is None else gaze_s) * 30)):
        t_s = k / 30
        x_px = (100.5 - shift_px(int(t_s * 24 + 1e-6))) * 1280 / WIDTH_PX
        samples.append((t_s, x_px, 480.0, "Saccade" if k % 10 == 0 else "Fixation"))
    write_gaze(root / "gaze_data" / f"{session}.txt", samples, version)


def write_annotations(root: Path, sessions: Sequence[str], seconds: int = 8) -> None:
    """Two actions of two seconds each, over and over, without gaps."""
    folder = root / "action_annotation"
    (folder / "raw_annotations").mkdir(parents=True, exist_ok=True)
    (folder / "verb_idx.txt").write_text("Cut 1\nPick up 2\n")
    (folder / "noun_idx.txt").write_text("red_cup 1\nonion 2\n")
    (folder / "action_idx.txt").write_text("Cut onion 1\nPick up red_cup 2\n")
    lines = ["# Clip ID; Clip Prefix; Video Session; Starting Time (ms);  Ending Time (ms); Action; Verb; Noun(s)"]
    for session in sessions:
        for start in range(0, seconds, 2):
            verb, noun = (("Cut", "onion"), ("Pick up", "red_cup"))[start // 2 % 2]
            times = f"{start * 1000}; {start * 1000 + 2000}"
            prefix = f"{session}-{start * 1000}-{start * 1000 + 2000}"
            lines.append(f"{len(lines)}; {prefix}; {session}; {times}; {verb} {noun}; {verb}; {noun}")
    (folder / "raw_annotations" / "action_labels.csv").write_text("\n".join(lines) + "\n")


def clip_name(session: str, start_s: int) -> str:
    """The trimmed clip of the action of two seconds that starts at `start_s`: 5 frames more on each side."""
    first = max(0, start_s * 24 - 5)
    return f"{session}-{start_s * 1000}-{start_s * 1000 + 2000}-F{first:06d}-F{start_s * 24 + 53:06d}"


def write_split(root: Path, split: int, train: Sequence[tuple[str, int]], test: Sequence[tuple[str, int]]) -> None:
    """Both files of an official split, of actions (session, start in seconds) as `write_annotations` has them."""
    for part, actions in (("train", train), ("test", test)):
        rows = [
            f"{clip_name(session, start_s)}{(' 1 1 2', ' 2 2 1')[start_s // 2 % 2]}\n" for session, start_s in actions
        ]
        (root / "action_annotation" / f"{part}_split{split}.txt").write_text("".join(rows))


def write_trimmed(root: Path, session: str, start_s: int, frames: int | None = None, seed: int = 0) -> Path:
    """A trimmed clip of a session of `write_session`, at half its size; of so many frames, or as its name says."""
    name = clip_name(session, start_s)
    first, end = (int(part[1:]) for part in name.split("-")[-2:])
    image = texture(seed)
    count = end - first if frames is None else frames
    images = [image[:HEIGHT_PX, shift_px(i) :][:, :WIDTH_PX] for i in range(first, first + count)]
    half = [cv2.resize(frame, (WIDTH_PX // 2, HEIGHT_PX // 2), interpolation=cv2.INTER_AREA) for frame in images]
    return write_video(root / "cropped_clips" / session / f"{name}.mp4", half)


def write_root(root: Path, sessions: Sequence[str], seconds: int = 8) -> Path:
    """A whole data set."""
    for seed, session in enumerate(sessions):
        write_session(root, session, seconds, seed=seed, version="3.1" if seed % 2 else "3.4")
    write_annotations(root, sessions, seconds)
    return root
