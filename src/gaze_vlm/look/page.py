"""The page of `gaze-vlm look`: one HTML file to click through."""

import json
from base64 import b64encode
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from gaze_vlm.comparison.markdown import package_versions
from gaze_vlm.gaze.overlay import heat, resized
from gaze_vlm.look.gaze_points import points_of
from gaze_vlm.look.kept_maps import LEVELS, TITLES, SourceMaps
from gaze_vlm.look.watched_clip import WatchedClip
from gaze_vlm.report.clip_views import Picture, picture
from gaze_vlm.report.html import render_page

WIDTH_PX = 512
COLUMNS_REM = {1: 40, 2: 26}  # least width of a frame by the number of frames
SHARES = "Share of a head's attention that goes to the frames"
DIVERGENCES = "How far a head's maps are from an even spread: KL(map ‖ uniform)"


@dataclass(frozen=True)
class FrameView:
    """A frame of the page, and its gaze points in percent of its sides."""

    picture: Picture
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class SourceView:
    """A source's title, its number on the page, and its arrays as base64."""

    title: str
    number: int
    arrays: dict[str, str]


def render_look(clip: WatchedClip, command: str) -> str:
    """Return the page of a clip as HTML.

    Args:
        clip: what is shown.
        command: that makes it again.
    """
    covered = clip.covered
    place = covered.left, covered.top, covered.right - covered.left, covered.bottom - covered.top
    names = ("left", "top", "width", "height")
    return render_page(
        "look.html",
        script=files("gaze_vlm.look").joinpath("templates", "look.js").read_text(encoding="utf-8"),
        room="look",
        model=clip.model,
        prompt=clip.prompt,
        given=clip.given,
        tokens=clip.tokens,
        sources=[_source_view(clip, number) for number in range(len(clip.sources))],
        frames=[_frame_view(clip, frame) for frame in range(len(clip.frames))],
        column_rem=COLUMNS_REM.get(len(clip.frames), 15),
        covered=";".join(f"{name}:{100 * share:g}%" for name, share in zip(names, place, strict=True)),
        has_gaze=clip.gaze is not None,
        left_out=left_out(clip),
        data=json.dumps(_data(clip)),
        versions=package_versions(),
        command=command,
    )


def left_out(clip: WatchedClip) -> list[str]:
    """Say which heads' maps were left out, of each source."""
    lines = []
    for one in clip.sources:
        kept = one.kept.shape[1]
        if one.grid is not None and kept < one.heads:
            lines.append(
                f"{TITLES[one.source].lower()}: the maps of {one.heads - kept} of {one.heads} heads of each layer; "
                "their shares, and means over all heads, are there"
            )
    return lines


def _data(clip: WatchedClip) -> dict[str, Any]:
    """All but the arrays that the script reads."""
    with_maps = [one for one in clip.sources if one.grid is not None]
    highest = [(float(one.highest.max()), float(one.highest[:, -1].max()), len(one.grid or ())) for one in with_maps]
    return {
        "tokens": clip.tokens,
        "probabilities": clip.probabilities,
        "groups": clip.groups,
        "frames_per_group": clip.frames_per_group,
        "valid": [] if clip.gaze is None else clip.gaze.valid.tolist(),
        # The scale opens at the highest of the means, and reaches to the highest of all.
        "top": max((mean * patches for _, mean, patches in highest), default=1.0),
        "highest": max((most * patches for most, _, patches in highest), default=1.0),
        "colours": np.round(255 * heat(np.linspace(0, 1, LEVELS + 1))).astype(int).tolist(),
        "sources": [
            {
                "title": TITLES[one.source],
                "language": one.source == "language",
                "block": one.source == "block",
                "rows": 0 if one.grid is None else one.grid.rows,
                "columns": 0 if one.grid is None else one.grid.columns,
                "layers": [*one.layers],
                "heads": one.heads,
                "kept": one.kept.tolist(),
                "tokens": one.levels.shape[0],
                "slots": one.levels.shape[1],
                "measure": SHARES if one.source == "language" else DIVERGENCES,
                "gaze": clip.gaze is not None and one.grid is not None,
            }
            for one in clip.sources
        ],
    }


def _source_view(clip: WatchedClip, number: int) -> SourceView:
    one: SourceMaps = clip.sources[number]
    arrays: dict[str, np.ndarray] = {
        "shares": one.shares,
        "measures": one.measures,
        "highest": one.highest,
        "levels": one.levels,
    }
    if clip.gaze is not None and one.grid is not None:
        arrays["gaze"] = clip.gaze.of_source[one.source]
    written = {
        name: b64encode(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()).decode("ascii")
        for name, array in arrays.items()
    }
    return SourceView(TITLES[one.source], number, written)


def _frame_view(clip: WatchedClip, frame: int) -> FrameView:
    time = f"{clip.times_s[frame]:.2f} s"
    image = resized(clip.frames[frame], min(WIDTH_PX, max(192, clip.frames.shape[-1])))
    points = [] if clip.gaze is None else points_of(clip.gaze.points, frame)
    words = f"Frame at {time}" + (f" with {len(points)} gaze points" if clip.gaze is not None else "")
    return FrameView(picture(image, time, words), [(round(100 * x, 2), round(100 * y, 2)) for x, y in points])
