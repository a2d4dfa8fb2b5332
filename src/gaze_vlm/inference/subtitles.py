"""Subtitles of captions: SubRip and WebVTT."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from gaze_vlm.foreign_text import visible
from gaze_vlm.inference.caption_file import Caption

Kind = Literal["srt", "vtt"]
LABELS = {"activity": "now:", "future": "next:"}
TAG = re.compile(r"[<{](?=[\w/\\!])")  # where players that know no escapes would see formatting begin


@dataclass(frozen=True)
class Cue:
    """A text and when it is shown, in seconds."""

    start_s: float
    end_s: float
    text: str


def cues(captions: Sequence[Caption]) -> list[Cue]:
    """Make the subtitles of a video: of each window what was answered, one line a question.

    A window is shown from the end of the one before it, so that none is shown beside another.

    Args:
        captions: of one video, by window.
    """
    made: list[Cue] = []
    for (start_s, end_s), of_window in groupby(captions, key=lambda one: (one.start_s, one.end_s)):
        answers = list(of_window)
        alone = len(answers) == 1
        lines = [one.answer if alone else f"{label(one.task, one.prompt)} {one.answer}" for one in answers]
        made.append(Cue(max(start_s, made[-1].end_s if made else 0.0), end_s, "\n".join(lines)))
    return made


def label(task: str | None, prompt: str) -> str:
    """Return what stands before an answer: the prompt, in one word where it is that of a task."""
    return LABELS.get(task or "", prompt)


def written(cues: Sequence[Cue], kind: Kind) -> str:
    """Write subtitles; a text is shown as it is, whatever it holds.

    SubRip: an index, times and text a cue. WebVTT: https://www.w3.org/TR/webvtt1.
    """
    blocks = ["WEBVTT"] if kind == "vtt" else []
    for number, cue in enumerate(cues, start=1):
        head = [str(number)] if kind == "srt" else []
        times = " --> ".join(clock(t_s, "," if kind == "srt" else ".") for t_s in (cue.start_s, cue.end_s))
        blocks.append(
            "\n".join([*head, times, *(_inert(line, kind) for line in cue.text.splitlines() if line.strip())])
        )
    return "\n\n".join(blocks) + "\n"


def clock(t_s: float, point: str) -> str:
    """Write a time as hh:mm:ss.mmm, rounded down: never later than the frame that it is the time of."""
    ms = int(t_s * 1000 + 1e-3)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"


def _inert(line: str, kind: Kind) -> str:
    line = visible(line.strip(), keep="").replace("-->", "→")
    if kind == "vtt":
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return TAG.sub(lambda found: f"{found[0]} ", line)
