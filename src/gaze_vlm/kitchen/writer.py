"""Writes sessions as EGTEA Gaze+ stores them: h264 videos, BeGaze texts and action annotations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from gaze_vlm.formats.writers import (
    LabelledAction,
    action_labels_csv,
    begaze_text,
    index_text,
    split_text,
)
from gaze_vlm.kitchen.recipes import COLOURS, KINDS, POSSIBLE_STEPS, VERBS, noun
from gaze_vlm.kitchen.scene import FRAME_HEIGHT_PX, FRAME_HZ, FRAME_WIDTH_PX
from gaze_vlm.kitchen.session import Session

GAZE_WIDTH_PX, GAZE_HEIGHT_PX = 1280, 960
CLOCK_START_US = 1_000_000_000
"""The tracker's clock has nothing to do with the video's: it starts here, an hour later a participant."""
ENCODER = {"crf": "18", "preset": "veryfast", "g": "12", "threads": "1"}
SPLITS = 3
TEST_SHARE = 5
"""Every fifth session is a test session, another fifth in each split."""


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`; it takes the place of `path` once it is written completely."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    yield partial
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    with atomically(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_video(path: Path, session: Session) -> None:
    """All frames of the session as h264, 24 fps, 128×96 px."""
    with atomically(path) as partial, av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_HZ, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = FRAME_WIDTH_PX, FRAME_HEIGHT_PX, "yuv420p"
        stream.thread_count = 1
        for index in range(session.frame_count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(session.frame(index), format="rgb24")))
        container.mux(stream.encode(None))


def gaze_text(session: Session) -> str:
    """The session's gaze in BeGaze 3.1 for even participants and in 3.4 for odd ones."""
    track = session.gaze
    origin_us = CLOCK_START_US + 3_600_000_000 * session.participant + 123_457 * session.recipe
    return begaze_text(
        t_us=origin_us + np.rint(track.t_s * 1e6).astype(np.int64),
        xy_px=track.xy * np.array([GAZE_WIDTH_PX, GAZE_HEIGHT_PX]),
        events=track.event,
        frames=np.floor(track.t_s * FRAME_HZ + 1e-6).astype(np.int64),
        variant="3.4" if session.participant % 2 else "3.1",
        subject=f"P{session.participant:02d}",
    )


def labelled_actions(session: Session) -> list[LabelledAction]:
    return [
        LabelledAction(session.name, round(1000 * start_s), round(1000 * end_s), verb, label, session.frame_count)
        for start_s, end_s, verb, label in session.actions
    ]


def write_annotations(folder: Path, sessions: Sequence[Sequence[LabelledAction]]) -> None:
    """`action_annotation/` for the actions of each session; a session is never in both parts of a split."""
    nouns = [noun(colour, kind) for kind in KINDS for colour in COLOURS]
    names = [f"{step.verb} {noun(colour, step.kind)}" for step in POSSIBLE_STEPS for colour in COLOURS]
    write_text(folder / "action_idx.txt", index_text(names))
    write_text(folder / "verb_idx.txt", index_text(VERBS))
    write_text(folder / "noun_idx.txt", index_text(nouns))
    actions = [action for session in sessions for action in session]
    write_text(folder / "raw_annotations" / "action_labels.csv", action_labels_csv(actions))
    for split in range(SPLITS):
        parts: dict[str, list[LabelledAction]] = {"train": [], "test": []}
        for index, session in enumerate(sessions):
            parts["test" if index % TEST_SHARE == split else "train"].extend(session)
        for part, chosen in parts.items():
            write_text(folder / f"{part}_split{split + 1}.txt", split_text(chosen, names, VERBS, nouns))
