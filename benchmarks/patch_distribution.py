"""How much faster a mixture's exact patch distribution is than drawing, blurring and pooling its heat map.

    python benchmarks/patch_distribution.py

A batch of 32 clips x 8 frames x 6 gaze points on a 24x24 grid; the maps are 1088x1080 pixels with the paper's
sigma of 20 pixels. Drawing all 256 maps takes long, so 16 of them are timed and the median is scaled to the
batch. Both sides run on one thread.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from einops import reduce
from result import cpu_name, write_result
from scipy.ndimage import gaussian_filter

from gaze_vlm.gaze.mixture import patch_distribution
from gaze_vlm.gaze.view import Grid, View

CLIPS, FRAMES, POINTS = 32, 8, 6
WIDTH_PX, HEIGHT_PX, SIGMA_PX = 1088, 1080, 20.0
ROWS, COLUMNS = 24, 24
TIMED_MAPS = 16
REPEATS = 20


def drawn_distribution(xy: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Patch distribution [row, column] of one frame by a heat map of its pixels; weight [point]."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.float32)
    column = np.floor(xy[:, 0] * WIDTH_PX).astype(int)
    row = np.floor(xy[:, 1] * HEIGHT_PX).astype(int)
    np.add.at(image, (row, column), weight)
    # Mass that leaves the frame is lost, so nothing may be reflected at its edge.
    image = gaussian_filter(image, SIGMA_PX, mode="constant")
    strips = reduce(image, "(row pixel) column -> row column", "sum", row=ROWS)
    # 24 cells do not divide 1088 columns, so a pixel on an edge is shared out.
    edges, pixels = np.linspace(0, WIDTH_PX, COLUMNS + 1), np.arange(WIDTH_PX + 1)
    patches = np.stack([np.diff(np.interp(edges, pixels, np.append(0, line.cumsum()))) for line in strips])
    return patches / patches.sum()


def main() -> None:
    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(0)
    # On pixel centres, where the drawn map can put a point without rounding it.
    pixel = torch.rand(CLIPS, FRAMES, POINTS, 2, generator=random, dtype=torch.float64)
    size = torch.tensor([WIDTH_PX, HEIGHT_PX])
    xy = ((pixel * size).floor() + 0.5) / size
    weight = torch.rand(CLIPS, FRAMES, POINTS, generator=random) + 0.1
    settings = (SIGMA_PX / WIDTH_PX, WIDTH_PX / HEIGHT_PX, View(), Grid(ROWS, COLUMNS))

    distribution, _ = patch_distribution(xy, weight, *settings)
    exact_s = median(_seconds(lambda: patch_distribution(xy, weight, *settings)) for _ in range(REPEATS))

    frames_xy, frames_weight = xy.flatten(0, 1).numpy(), weight.flatten(0, 1).numpy()
    drawn, seconds = [], []
    for index in range(TIMED_MAPS):
        start = time.perf_counter()
        drawn.append(drawn_distribution(frames_xy[index], frames_weight[index]))
        seconds.append(time.perf_counter() - start)
    drawn_s = median(seconds) * CLIPS * FRAMES
    exact = distribution.flatten(0, 1)[:TIMED_MAPS].unflatten(-1, (ROWS, COLUMNS)).numpy()

    write_result(
        "patch_distribution",
        figures={
            "ratio": round(drawn_s / exact_s),
            "exact_batch_ms": round(1e3 * exact_s, 3),
            "drawn_batch_ms": round(1e3 * drawn_s, 1),
            "max_difference": float(f"{np.abs(exact - np.stack(drawn)).max():.2e}"),
        },
        command="python benchmarks/patch_distribution.py",
        device=cpu_name(),
        packages=("torch", "numpy", "scipy"),
        conditions={
            "threads": 1,
            "batch": f"{CLIPS} clips x {FRAMES} frames x {POINTS} points",
            "map_px": f"{WIDTH_PX}x{HEIGHT_PX}",
            "sigma_px": SIGMA_PX,
            "grid": f"{ROWS}x{COLUMNS}",
            "drawn_maps_timed": TIMED_MAPS,
            "drawn_batch_ms": f"median of {TIMED_MAPS} maps x {CLIPS * FRAMES}",
            "exact_batch_ms": f"median of {REPEATS}",
        },
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
