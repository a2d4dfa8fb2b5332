"""The file of captions: lines in a fixed order, and beside it what they were made of, so that a killed run resumes."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import visible
from gaze_vlm.json_files import damage_refused, from_json, parse_object, read_json, shown, write_json
from gaze_vlm.output import used_alone, writing

FIX = "name another --output, or delete it and caption anew"


@dataclass(frozen=True)
class Caption:
    """A line: what a model answered about a window of a video.

    Times are in seconds as players count them, from the start of the file. `task` is None for one's own prompt.
    """

    video: str
    start_s: float
    end_s: float
    task: str | None
    prompt: str
    answer: str

    def line(self) -> str:
        """Return the caption as a line of JSON."""
        return json.dumps(asdict(self), allow_nan=False) + "\n"


@dataclass(frozen=True)
class MadeOf:
    """What captions are made of: the file beside theirs.

    Args:
        model: as it was named.
        options: all else that the answers depend on, among them a digest of the model's weights.
        videos: of each its size in bytes and a digest of its ends.
        left_out: why a video, or its end, could not be read.
        overlays: videos whose overlay is written, or is to be: it was not there when it was noted.
        is_finished: all lines were written.
        lines: how many these are; 0 while they are not, and in files of before.
    """

    model: str
    options: dict[str, Any]
    videos: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()
    is_finished: bool = False
    lines: int = 0


class CaptionFile:
    """Lines that are there already, and where the next go; see `open_captions`.

    Args:
        path: of the lines.
        captions: those that are there.
        made_of: of the file beside it.
    """

    def __init__(self, path: Path, captions: list[Caption], made_of: MadeOf) -> None:
        self.path, self.captions, self.made_of = path, captions, made_of

    def append(self, captions: Sequence[Caption]) -> None:
        """Add the lines of a batch."""
        self.captions += captions
        with writing(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(caption.line() for caption in captions))

    def note(self, **changed: Any) -> None:
        """Change what is noted beside the lines."""
        self.made_of = replace(self.made_of, **changed)
        write_json(beside(self.path), asdict(self.made_of))

    def leave_out(self, video: str, reason: str) -> None:
        """Note why a video cannot be read, or cannot to its end."""
        self.note(left_out={**self.made_of.left_out, video: reason})


def beside(path: Path) -> Path:
    """Return the file that says what captions are made of: `captions.made_of.json` beside `captions.jsonl`."""
    return path.with_suffix(".made_of.json")


@contextmanager
def open_captions(path: Path, asked: MadeOf, batch_size: int) -> Iterator[CaptionFile]:
    """Open a new file of captions, or one that is to be resumed or is finished.

    Lines are kept by whole batches, so that one is answered beside the same others, however often the work is stopped.
    A file of which none is kept is begun anew, of what is asked. One that was finished and cut afterwards is resumed.

    Args:
        path: of the lines.
        asked: what they are to be made of.
        batch_size: lines of a batch.

    Raises:
        InputError: the file was made of other things, is damaged, or another process writes it.
        OutputError: the file system refused.
    """
    if not path.exists():
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(beside(path), asdict(asked))
            path.touch()
    elif not beside(path).is_file():
        raise InputError(f"{path} is there, and {beside(path).name} is not, which says how it was made: {FIX}")
    with used_alone(path, "written"):
        made_of = _read_made_of(path)
        lines = path.read_bytes().split(b"\n")[:-1]  # what is behind the last end of a line was cut off
        if len(lines) < made_of.lines:
            made_of = replace(made_of, is_finished=False)
        if not made_of.is_finished:
            own = made_of.options.get("batch_size")
            size = own if isinstance(own, int) and own > 0 else batch_size
            lines = lines[: len(lines) // size * size]
        try:
            check_same(path, made_of, asked)
        except InputError:
            if lines:
                raise
            made_of = asked
            write_json(beside(path), asdict(asked))
        if not made_of.is_finished:
            kept_bytes = sum(len(line) + 1 for line in lines)
            if kept_bytes < path.stat().st_size:
                with writing(path):
                    os.truncate(path, kept_bytes)
        captions = [_caption(line, f"{path}:{number}", made_of) for number, line in enumerate(lines, start=1)]
        if not made_of.is_finished:  # what was found of videos that are to be read again is found again
            names = list(made_of.videos)
            read = names[: names.index(captions[-1].video)] if captions else []
            left_out = {name: reason for name, reason in made_of.left_out.items() if name in read}
            made_of = replace(made_of, left_out=left_out)
        yield CaptionFile(path, captions, made_of)


def _read_made_of(path: Path) -> MadeOf:
    with damage_refused(beside(path), FIX):
        return from_json(MadeOf, read_json(beside(path), FIX))


def _caption(line: bytes, where: str, made_of: MadeOf) -> Caption:
    with damage_refused(where, FIX):
        caption = from_json(Caption, parse_object(line, where, FIX))
        if caption.video not in made_of.videos:
            raise TypeError(f"video is {shown(caption.video)}")
        return caption


def check_same(path: Path, there: MadeOf, asked: MadeOf) -> None:
    """Check that a file's lines are of the same options and videos.

    Raises:
        InputError: naming the first that differs.
    """
    for name in sorted(there.options.keys() | asked.options.keys()):
        was, is_now = there.options.get(name), json.loads(json.dumps(asked.options.get(name)))
        if was != is_now:
            option = visible(name, keep="")
            raise InputError(f"{path} was written with {option} {_said(was)}, and this is {_said(is_now)}: {FIX}")
    for video in sorted(there.videos.keys() | asked.videos.keys()):
        was, is_now = there.videos.get(video), asked.videos.get(video)
        if was != is_now:
            change = "is new" if was is None else "is gone" if is_now is None else "is another file now"
            raise InputError(f"{path} was written of other videos: {visible(video, keep='')} {change}: {FIX}")


def _said(value: object) -> str:
    return visible(", ".join(map(str, value)) if isinstance(value, list) else str(value), keep="")
