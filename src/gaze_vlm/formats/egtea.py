"""EGTEA Gaze+ as it is on disk: sessions, gaze texts and action labels."""

import re
from collections import Counter
from pathlib import Path

from gaze_vlm.formats.begaze import BEGAZE_HEIGHT_PX, BEGAZE_WIDTH_PX, read_begaze
from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.gaze.samples import GazeSamples

LABELS = Path("raw_annotations") / "action_labels.csv"
GAZE_SUFFIX = re.compile(r"-gazedata$", re.IGNORECASE)


class EgteaReader:
    """Reader of `<root>/{videos,gaze_data,action_annotation}`.

    Names are matched without regard to case. A session that has labels but no video is left out and listed in
    `sessions_without_video`; one whose gaze is missing is kept, with `gaze=None`.

    Raises:
        ValueError: a part of the data set is missing; the message says which path and how to mend it.
    """

    dataset = "egtea"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.annotations = self.root / "action_annotation"
        labels = [self.annotations / LABELS, self.root / LABELS]
        self.labels = next((path for path in labels if path.is_file()), labels[0])
        for path, mend in (
            (self.root / "videos", "put the session videos (<session>.mp4) there"),
            (self.root / "gaze_data", "unpack the gaze archive (gaze_data.zip) there"),
            (self.labels, "unpack the action annotations there, raw_annotations included"),
            (self.annotations / "verb_idx.txt", "unpack the action annotations there"),
            (self.annotations / "noun_idx.txt", "unpack the action annotations there"),
        ):
            if not path.exists():
                raise ValueError(f"{path} is missing: is {self.root} the root of EGTEA Gaze+? If so, {mend}")
        self.verbs = read_index(self.annotations / "verb_idx.txt")
        self.nouns = read_index(self.annotations / "noun_idx.txt")

    @property
    def sessions_without_video(self) -> list[str]:
        """Sessions that the labels name and `videos` lacks."""
        videos = self._videos()
        return sorted(session for session in self._actions() if session not in videos)

    def recordings(self) -> list[Recording]:
        """All sessions with a video, sorted by name."""
        gaze, actions = self._gaze_texts(), self._actions()
        return [
            Recording(
                video_id=video.stem,
                video=video,
                gaze=gaze.get(key),
                participant=video.stem.split("-")[0].upper(),
                gaze_width_px=BEGAZE_WIDTH_PX,
                gaze_height_px=BEGAZE_HEIGHT_PX,
                actions=tuple(sorted(actions.get(key, ()), key=lambda action: (action.start_s, action.end_s))),
            )
            for key, video in sorted(self._videos().items(), key=lambda item: item[1].stem)
        ]

    def read_gaze(self, recording: Recording) -> GazeSamples:
        """Gaze of one session.

        Raises:
            ValueError: the gaze text is missing or malformed.
        """
        if recording.gaze is None:
            expected = self.root / "gaze_data" / f"{recording.video_id}.txt"
            raise ValueError(f"{expected} is missing: the gaze of {recording.video_id}; unpack the gaze archive again")
        return read_begaze(recording.gaze)

    def _videos(self) -> dict[str, Path]:
        videos = sorted((self.root / "videos").glob("*.mp4"))
        if not videos:
            raise ValueError(f"{self.root / 'videos'} holds no .mp4 file: put the session videos (<session>.mp4) there")
        return _by_key(videos)

    def _gaze_texts(self) -> dict[str, Path]:
        folder = self.root / "gaze_data"
        return _by_key(sorted(folder.glob("*.txt")) or sorted((folder / "gaze_data").glob("*.txt")))

    def _actions(self) -> dict[str, list[Action]]:
        return read_action_labels(self.labels)


def session_key(name: str) -> str:
    """`name` in lower case and without the suffix that some gaze texts carry."""
    return GAZE_SUFFIX.sub("", name).lower()


def plain(label: str) -> str:
    """A label as words: "Mix mixture,eating_utensil" → "mix mixture, eating utensil"."""
    return ", ".join(" ".join(part.replace("_", " ").split()) for part in label.lower().split(","))


def read_index(path: Path) -> tuple[str, ...]:
    """Names of an index file ("<name with spaces> <id>" a line, ids from 1), in words, by their ids.

    Raises:
        ValueError: a line without a number at its end, or ids that are not 1 … n.
    """
    names: dict[int, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        name, _, index = line.strip().rpartition(" ")
        if not name or not index.isdecimal():
            raise ValueError(f"{path}, line {number}: {line!r} is not '<name> <id>'")
        names[int(index)] = plain(name)
    if sorted(names) != list(range(1, len(names) + 1)):
        raise ValueError(f"{path}: ids are not 1 to {len(names)}; is the file cut short?")
    return tuple(names[index] for index in sorted(names))


def read_action_labels(path: Path) -> dict[str, list[Action]]:
    """Actions of every session, by the session's key, from `action_labels.csv`.

    Times are milliseconds from the start of the session's video. An action with several nouns keeps the first
    as its label; the text has them all.

    Raises:
        ValueError: a malformed row, or an action that ends before it starts.
    """
    actions: dict[str, list[Action]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("#") or not line.strip():
            continue
        where = f"{path}, line {number}"
        fields = [field.strip() for field in line.split(";")]
        if len(fields) != 8:
            raise ValueError(f"{where}: {len(fields)} fields where 8 are expected: {line!r}")
        session, start, end, text, verb, nouns = fields[2:]
        if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
            raise ValueError(f"{where}: action from {start!r} to {end!r} ms; expected two whole numbers that increase")
        noun = nouns.split(",")[0]
        action = Action(int(start) / 1000, int(end) / 1000, plain(text), plain(verb) or None, plain(noun) or None)
        actions.setdefault(session_key(session), []).append(action)
    return actions


def _by_key(paths: list[Path]) -> dict[str, Path]:
    """Files by their session's key.

    Raises:
        ValueError: two files of one session.
    """
    keys = Counter(session_key(path.stem) for path in paths)
    twice = [str(path) for path in paths if keys[session_key(path.stem)] > 1]
    if twice:
        raise ValueError(f"several files of one session: {', '.join(twice)}; keep one of them")
    return {session_key(path.stem): path for path in paths}
