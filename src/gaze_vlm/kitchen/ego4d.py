"""Sessions as Ego4D's download tool lays them out, beside indices of the verbs and nouns of the narrations."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from uuid import NAMESPACE_OID, uuid5

import numpy as np

from gaze_vlm.formats.ego4d_metadata import Ego4dVideo
from gaze_vlm.formats.ego4d_writers import ego4d_json, gaze_csv_text, narration_json
from gaze_vlm.formats.narrations import Narration, third_person
from gaze_vlm.formats.writers import index_text
from gaze_vlm.kitchen.recipes import NOUNS, VERBS
from gaze_vlm.kitchen.scene import EGO4D_RATES, Rates
from gaze_vlm.kitchen.session import Session
from gaze_vlm.kitchen.writer import SessionNotes, write_video
from gaze_vlm.output import write_atomically

DISPLAY_WIDTH_PX, DISPLAY_HEIGHT_PX = 1088, 816
"""The aspect of the rendered frames; Ego4D's own videos with gaze are 1088×1080."""
ENCODER = {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "8", "g": "15", "threads": "1"}
FILE_ORIGIN = (0.0, 1.0)
"""Where a lost eye is written: the file's own (0, 0) is the bottom left corner of the frame."""


class Ego4dFormat:
    """`<root>/ego4d.json`, `<root>/v2/{full_scale,gaze,annotations}`, and `<root>/{verb,noun}_idx.txt`."""

    rates: ClassVar[Rates] = EGO4D_RATES

    def video_id(self, session: Session) -> str:
        """Name the session as the data set does."""
        return video_uid(session.seed, session.participant, session.recipe)

    def write_session(self, root: Path, session: Session) -> None:
        """Write video and gaze; a video that is there is complete, and left as it is."""
        uid = self.video_id(session)
        video = root / "v2" / "full_scale" / f"{uid}.mp4"
        if not video.exists():
            write_video(video, session, "libvpx-vp9", ENCODER)
        write_atomically(root / "v2" / "gaze" / f"{uid}.csv", gaze_table(session))

    def write_index(self, root: Path, sessions: Sequence[SessionNotes]) -> None:
        """Write the files about all sessions."""
        videos = [
            Ego4dVideo(notes.video_id, notes.frame_count / self.rates.frame_hz, DISPLAY_WIDTH_PX, DISPLAY_HEIGHT_PX)
            for notes in sessions
        ]
        write_atomically(root / "ego4d.json", ego4d_json(videos))
        spoken = {notes.video_id: narrations(notes) for notes in sessions}
        write_atomically(root / "v2" / "annotations" / "narration.json", narration_json(spoken))
        write_atomically(root / "verb_idx.txt", index_text(VERBS))
        write_atomically(root / "noun_idx.txt", index_text(NOUNS))


def video_uid(seed: int, participant: int, recipe: int) -> str:
    """Make a uid shaped like Ego4D's; the same arguments give the same one."""
    return str(uuid5(NAMESPACE_OID, f"gaze-vlm kitchen, seed {seed}, participant {participant}, recipe {recipe}"))


def gaze_table(session: Session) -> str:
    """Write the session's gaze as a table; a lost eye has the worn flag 0."""
    track = session.gaze
    return gaze_csv_text(track.t_s, np.where(track.tracked[:, None], track.xy, FILE_ORIGIN), track.tracked)


def narrations(notes: SessionNotes) -> list[Narration]:
    """Write a sentence for each action, one for each passer-by, and one `#unsure`."""
    actions = [
        Narration(start_s, f"#C C {third_person(verb.lower())} the {label.replace('_', ' ')}")
        for start_s, _, verb, label in notes.actions
    ]
    passers_by = [Narration(start_s, "#O person X walks past") for start_s, _ in notes.occluders]
    start_s, end_s, _, _ = notes.actions[len(notes.actions) // 2]
    return sorted([*actions, *passers_by, Narration((start_s + end_s) / 2, "#C C #unsure")])
