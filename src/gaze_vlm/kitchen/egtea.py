"""Sessions as EGTEA Gaze+ stores them: h264 videos, BeGaze texts and action annotations."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from gaze_vlm.formats.writers import LabelledAction, action_labels_csv, begaze_text, index_text, split_text
from gaze_vlm.kitchen.recipes import COLOURS, NOUNS, POSSIBLE_ACTIONS, VERBS, noun
from gaze_vlm.kitchen.scene import EGTEA_RATES, Rates
from gaze_vlm.kitchen.session import Session
from gaze_vlm.kitchen.writer import SessionNotes, write_video
from gaze_vlm.output import write_atomically

GAZE_WIDTH_PX, GAZE_HEIGHT_PX = 1280, 960
CLOCK_START_US = 1_000_000_000
"""The tracker's clock has nothing to do with the video's: it starts here, an hour later a participant."""
ENCODER = {"crf": "20", "preset": "ultrafast", "bf": "3", "g": "12", "threads": "1"}
"""A third of the time of `veryfast` at crf 18, as near to the frames, in larger files (docs/kitchen.md)."""
SPLITS = 3
TEST_SHARE = 5
"""Every fifth session is a test session, another fifth in each split."""


class EgteaFormat:
    """`<root>/{videos,gaze_data,action_annotation}`."""

    rates: ClassVar[Rates] = EGTEA_RATES

    def video_id(self, session: Session) -> str:
        """Name the session as the data set does."""
        return session.name

    def write_session(self, root: Path, session: Session) -> None:
        """Write video and gaze; a video that is there is complete, and left as it is."""
        video = root / "videos" / f"{session.name}.mp4"
        if not video.exists():
            write_video(video, session, "libx264", ENCODER)
        write_atomically(root / "gaze_data" / f"{session.name}.txt", gaze_text(session))

    def write_index(self, root: Path, sessions: Sequence[SessionNotes]) -> None:
        """Write the files about all sessions."""
        write_annotations(root / "action_annotation", [labelled_actions(notes) for notes in sessions])


def gaze_text(session: Session) -> str:
    """Write gaze in BeGaze 3.1 for even participants and in 3.4 for odd ones."""
    track = session.gaze
    origin_us = CLOCK_START_US + 3_600_000_000 * session.participant + 123_457 * session.recipe
    return begaze_text(
        t_us=origin_us + np.rint(track.t_s * 1e6).astype(np.int64),
        xy_px=track.xy * np.array([GAZE_WIDTH_PX, GAZE_HEIGHT_PX]),
        events=track.event,
        frames=np.floor(track.t_s * EGTEA_RATES.frame_hz + 1e-6).astype(np.int64),
        variant="3.4" if session.participant % 2 else "3.1",
        subject=f"P{session.participant:02d}",
    )


def labelled_actions(notes: SessionNotes) -> list[LabelledAction]:
    """List a session's actions as the annotation files have them."""
    return [
        LabelledAction(notes.video_id, round(1000 * start_s), round(1000 * end_s), verb, label, notes.frame_count)
        for start_s, end_s, verb, label in notes.actions
    ]


def write_annotations(folder: Path, sessions: Sequence[Sequence[LabelledAction]]) -> None:
    """Write `action_annotation/`; a session is never in both parts of a split."""
    names = [f"{action.verb} {noun(colour, action.kind)}" for action in POSSIBLE_ACTIONS for colour in COLOURS]
    write_atomically(folder / "action_idx.txt", index_text(names))
    write_atomically(folder / "verb_idx.txt", index_text(VERBS))
    write_atomically(folder / "noun_idx.txt", index_text(NOUNS))
    actions = [action for session in sessions for action in session]
    write_atomically(folder / "raw_annotations" / "action_labels.csv", action_labels_csv(actions))
    for split in range(SPLITS):
        parts: dict[str, list[LabelledAction]] = {"train": [], "test": []}
        for index, session in enumerate(sessions):
            parts["test" if index % TEST_SHARE == split else "train"].extend(session)
        for part, chosen in parts.items():
            write_atomically(folder / f"{part}_split{split + 1}.txt", split_text(chosen, names, VERBS, NOUNS))
