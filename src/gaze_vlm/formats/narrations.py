"""Narrations of Ego4D: sentences at points in time, turned into actions."""

import math
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import regex

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Action
from gaze_vlm.formats.text_files import json_members

Others = Literal["drop", "keep"]
NarrationPass = Literal["first", "second", "both"]
TAG = regex.compile(
    r"#\s*(?:(?P<wearer>C[\s_]*C|C)|(?P<other>O)|(?P<summary>summary)|unsure)"
    r"(?![\p{Latin}\p{N}\p{M}_])",  # letters of a script without spaces may follow
    regex.IGNORECASE,
)


class Narration(NamedTuple):
    """A sentence as the file has it, tags included, and its time in the video."""

    t_s: float
    text: str


def read_narrations(
    path: Path, videos: Collection[str], narration_pass: NarrationPass = "first"
) -> dict[str, list[Narration]]:
    """Read the narrations of `videos`, without summaries.

    The file is `narration.json` or `all_narrations_redacted.json`. `narration.json` has two passes, by two annotators.
    `first` takes the second where the first is missing or empty, and the other way round; `both` takes all. The other
    file has one list a video.

    Raises:
        InputError: it is no such file, or a narration has no time or no text.
    """
    narrations: dict[str, list[Narration]] = {uid: [] for uid in videos}
    for uid, entry in _entries(path):
        if uid in narrations:
            try:
                narrations[uid] = _narrations(entry or {}, narration_pass)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"{path} is damaged at {uid} ({error!r}): download the annotations again") from error
    return narrations


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """What the file has of each video: `narration.json` in its own object, the other file in the one named videos."""
    entries = json_members(path, "videos")
    if (first := next(entries, None)) is not None:
        yield first
        yield from entries
        return
    for uid, entry in json_members(path, ""):
        if uid == "videos" and entry != {}:
            raise InputError(f"{path} is damaged (videos is a {type(entry).__name__}, no object): download it again")
        yield uid, entry


def _narrations(entry: dict[str, Any], narration_pass: NarrationPass) -> list[Narration]:
    if "narrations" in entry:
        return _listed(entry)
    first, second = (_listed(entry.get(f"narration_pass_{number}") or {}) for number in (1, 2))
    if narration_pass == "both":
        return first + second
    return first or second if narration_pass == "first" else second or first


def _listed(entry: dict[str, Any]) -> list[Narration]:
    narrations = []
    for item in entry.get("narrations") or []:
        if item.get("is_summary"):
            continue
        old = "timestamp_sec" in item
        t_s, text = (item["timestamp_sec"], item["narration_text"]) if old else (item["time"], item["text"])
        if not abs(t_s) <= sys.float_info.max:  # which takes a whole number of any size
            raise InputError(f"time {t_s} of {text!r}")
        narrations.append(Narration(float(t_s), str(text or "")))
    return narrations


def narrated_actions(narrations: Iterable[Narration], others: Others, longest_s: float) -> tuple[Action, ...]:
    """Make an action of each narration, up to the next, at most `longest_s` long.

    Left out: summaries, narrations that say nothing beside their tags ("#C C #unsure"), a sentence said twice at one
    time, and, if `others` is `drop`, what other people do. Narrations of one time last equally long.
    """
    said = dict.fromkeys(
        (narration.t_s, text)
        for narration in sorted(narrations, key=lambda narration: narration.t_s)
        if (text := plain_narration(narration.text, others)) is not None
    )
    times = sorted({t_s for t_s, _ in said})
    following = dict(pairwise([*times, math.inf]))
    return tuple(Action(t_s, min(following[t_s], t_s + longest_s), text, None, None) for t_s, text in said)


def plain_narration(text: str, others: Others) -> str | None:
    """Return a narration without tags: "#C C walks in" becomes "walks in".

    None for a summary, for one without words, and for what another person does if `others` is `drop`. A narration is of
    the person of its first such tag; without one it is the camera wearer's.
    """
    tags = list(TAG.finditer(text))
    person = next((tag for tag in tags if tag["wearer"] or tag["other"]), None)
    if any(tag["summary"] for tag in tags) or (others == "drop" and person is not None and person["other"]):
        return None
    words = " ".join(TAG.sub(" ", text).split())
    return words if any(letter.isalnum() for letter in words) else None


def third_person(verb: str) -> str:
    """Write a verb in the third person: "pick up" becomes "picks up"."""
    first, *rest = verb.split()
    if re.search(r"(?:s|sh|ch|x|z|o)$", first):
        first += "es"
    elif re.search(r"[^aeiou]y$", first):
        first = f"{first[:-1]}ies"
    else:
        first += "s"
    return " ".join([first, *rest])
