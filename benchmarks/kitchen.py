"""What a kitchen costs: drawing and encoding a session, against decoding its video.

    python benchmarks/kitchen.py

Some seconds of a session are drawn, encoded and decoded one right after the other, in the files of both data sets, so
that other work on the machine weighs on all three. Times are processor times of one thread; the median of the rounds is
given. How near the decoded frames are to the drawn ones is measured too, as the peak signal-to-noise ratio of RGB.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
from result import cpu_name, write_result

from gaze_vlm.formats.video import TimedFrame, timed_frames
from gaze_vlm.kitchen import ego4d, egtea
from gaze_vlm.kitchen.scene import EGO4D_RATES, EGTEA_RATES, FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Scene
from gaze_vlm.kitchen.session import simulate_session
from gaze_vlm.kitchen.writer import write_frames

SECONDS = 20
ROUNDS = 5
FILES = {
    "egtea": (EGTEA_RATES, "libx264", egtea.ENCODER),
    "ego4d": (EGO4D_RATES, "libvpx-vp9", ego4d.ENCODER),
}


class Round(NamedTuple):
    """Processor seconds, with the frames on both sides of the file."""

    drawing_s: float
    encoding_s: float
    decoding_s: float
    drawn: list[np.ndarray]
    decoded: list[np.ndarray]


def one_round(scene: Scene, video: Path, codec: str, encoder: dict[str, str]) -> Round:
    start_s = time.process_time()
    drawn = [scene.frame(index) for index in range(SECONDS * scene.rates.frame_hz)]
    drawn_s = time.process_time()
    write_frames(video, drawn, scene.rates.frame_hz, codec, encoder)
    encoded_s = time.process_time()
    decoded = [pixels(frame) for frame in timed_frames(video)]
    decoded_s = time.process_time()
    return Round(drawn_s - start_s, encoded_s - drawn_s, decoded_s - encoded_s, drawn, decoded)


def pixels(frame: TimedFrame) -> np.ndarray:
    assert frame.frame is not None
    return frame.frame.to_ndarray(format="rgb24")


def main() -> None:
    cv2.setNumThreads(1)
    figures: dict[str, float | int | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (rates, codec, encoder) in FILES.items():
            scene = simulate_session(0, 1, 1, rates=rates).scene
            video = Path(folder) / f"{name}.mp4"
            rounds = [one_round(scene, video, codec, encoder) for _ in range(ROUNDS)]
            drawing, encoding, decoding = np.array([one[:3] for one in rounds]).T
            whole = (drawing + encoding) / decoding
            figures |= {
                f"{name}: cpu_s_a_minute": round(60 / SECONDS * median(drawing + encoding), 2),
                f"{name}: drawing_share": round(median(drawing / (drawing + encoding)), 2),
                f"{name}: drawing_over_decoding": round(median(drawing / decoding), 2),
                f"{name}: encoding_over_decoding": round(median(encoding / decoding), 2),
                f"{name}: kitchen_over_decoding": round(median(whole), 2),
                f"{name}: kitchen_over_decoding_rounds": ", ".join(f"{one:.2f}" for one in whole),
                f"{name}: psnr_db": round(psnr(rounds[0].drawn, rounds[0].decoded), 2),
                f"{name}: bytes_a_frame": round(video.stat().st_size / len(rounds[0].drawn)),
            }
    write_result(
        "kitchen",
        figures=figures,
        command="python benchmarks/kitchen.py",
        device=cpu_name(),
        packages=("av", "numpy", "opencv-python-headless"),
        conditions={
            "threads": 1,
            "frame_px": f"{FRAME_WIDTH_PX}x{FRAME_HEIGHT_PX}",
            "video_s": SECONDS,
            "rounds": ROUNDS,
            **{f"{name}: encoder": f"{codec} {encoder}" for name, (_, codec, encoder) in FILES.items()},
            "load_of_others": round(os.getloadavg()[0], 1),
        },
    )


def psnr(drawn: list[np.ndarray], decoded: list[np.ndarray]) -> float:
    errors = [np.mean((one.astype(float) - other) ** 2) for one, other in zip(drawn, decoded, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(errors)))


if __name__ == "__main__":
    main()
