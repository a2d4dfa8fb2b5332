"""EGTEA Gaze+'s annotations: index files, action labels, official splits, and what a trimmed clip's name says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import Action
from gaze_vlm.formats.text_files import is_whole, read_lines

GAZE_SUFFIX = re.compile(r"-gazedata$", re.IGNORECASE)
CLIP_NAME = re.compile(r"(.+)-(\d+)-(\d+)-F(\d{6})-F(\d{6})")
PARTS = ("train", "test")

ActionKey = tuple[str, int, int]
"""The key of an action's session, and the action's bounds in ms."""


@dataclass(frozen=True)
class ClipName:
    """What the name of a trimmed clip says.

    The action's bounds are in ms, the clip's in frames of the session at 24 fps. Frame k of the clip is the session's
    frame `first_frame` + k; whether `end_frame` itself is in the clip is not documented.
    """

    session: str
    start_ms: int
    end_ms: int
    first_frame: int
    end_frame: int

    @classmethod
    def parse(cls, name: str, where: str) -> "ClipName":
        """Parse `<session>-<t0 ms>-<t1 ms>-F<first frame>-F<end frame>`.

        Raises:
            InputError: the name has another form, or its bounds do not increase.
        """
        match = CLIP_NAME.fullmatch(name)
        if match is None:
            raise InputError(f"{where}: {name!r} is no clip's name; expected <session>-<t0 ms>-<t1 ms>-F000000-F000000")
        start_ms, end_ms, first_frame, end_frame = map(int, match.groups()[1:])
        if start_ms >= end_ms or first_frame >= end_frame:
            raise InputError(f"{where}: the bounds in {name!r} do not increase; fix or remove it")
        return cls(match[1], start_ms, end_ms, first_frame, end_frame)

    @property
    def key(self) -> ActionKey:
        """The action that the clip was cut for."""
        return session_key(self.session), self.start_ms, self.end_ms


@dataclass(frozen=True)
class SplitRow:
    """One line of a split file: a trimmed clip and the ids of its labels, from 1.

    `where` is the line's place, for messages.
    """

    clip: ClipName
    action: int
    verb: int
    nouns: tuple[int, ...]
    where: str


def session_key(name: str) -> str:
    """Return `name` in lower case, without the suffix of some gaze texts."""
    return GAZE_SUFFIX.sub("", name).lower()


def plain(label: str) -> str:
    """Write a label as words: "Mix,red_cup" becomes "mix, red cup"."""
    return ", ".join(" ".join(part.replace("_", " ").split()) for part in label.lower().split(","))


def read_index(path: Path) -> tuple[str, ...]:
    """Read the names of an index file as words, in the order of their ids.

    A line is "<name with spaces> <id>", with ids from 1.

    Raises:
        InputError: a line has no number at its end, or ids are not 1 … n.
    """
    names: dict[int, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        name, _, index = line.strip().rpartition(" ")
        if not name or not is_whole(index):
            raise InputError(f"{path}, line {number}: {line!r} is not '<name> <id>'")
        names[int(index)] = plain(name)
    if sorted(names) != list(range(1, len(names) + 1)):
        raise InputError(f"{path}: ids are not 1 to {len(names)}; is the file cut short?")
    return tuple(names[index] for index in sorted(names))


def read_action_labels(path: Path, part_of: Mapping[ActionKey, str]) -> dict[str, list[Action]]:
    """Read `action_labels.csv`: the actions of every session, by its key.

    Times are milliseconds from the start of the session's video. An action with several nouns keeps the first
    as its label; the text has them all. `part_of` gives the official split of those that are in it.

    Raises:
        InputError: a row is malformed, or an action ends before it starts.
    """
    actions: dict[str, list[Action]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith("#") or not line.strip():
            continue
        where = f"{path}, line {number}"
        fields = [field.strip() for field in line.split(";")]
        if len(fields) != 8:
            raise InputError(f"{where}: {len(fields)} fields where 8 are expected: {line!r}")
        session, start, end, text, verb, nouns = fields[2:]
        if not (is_whole(start) and is_whole(end) and int(start) < int(end)):
            raise InputError(f"{where}: action from {start!r} to {end!r} ms; expected two whole numbers that increase")
        key = session_key(session)
        action = Action(
            start_s=int(start) / 1000,
            end_s=int(end) / 1000,
            text=plain(text),
            verb=plain(verb) or None,
            noun=plain(nouns.split(",")[0]) or None,
            split=part_of.get((key, int(start), int(end))),
        )
        actions.setdefault(key, []).append(action)
    return actions


def read_splits(folder: Path, split: int) -> dict[str, list[SplitRow]]:
    """Read `train_split<n>.txt` and `test_split<n>.txt`: their rows, by part.

    Nothing is returned if both files are missing.

    Raises:
        InputError: one of the two is missing, a row is malformed, or a clip is in both.
    """
    paths = {part: folder / f"{part}_split{split}.txt" for part in PARTS}
    missing = [path for path in paths.values() if not path.is_file()]
    if len(missing) == len(paths):
        return {}
    if missing:
        raise InputError(f"{missing[0]} is missing, its counterpart is there; unpack the action annotations again")
    rows = {part: _read_split(path) for part, path in paths.items()}
    trained = {row.clip.key for row in rows["train"]}
    for row in rows["test"]:
        if row.clip.key in trained:
            raise InputError(f"{row.where}: this action is in {paths['train']} too; unpack the annotations again")
    return rows


def _read_split(path: Path) -> list[SplitRow]:
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {number}"
        name, *ids = line.split() or [""]
        if not name:
            continue
        if len(ids) < 3 or not all(map(is_whole, ids)):
            raise InputError(f"{where}: {line!r} is not 'ClipName ActionID VerbID NounID [NounID ...]'")
        action, verb, *nouns = map(int, ids)
        rows.append(SplitRow(ClipName.parse(name, where), action, verb, tuple(nouns), where))
    return rows


def parts_of_actions(rows: Mapping[str, Sequence[SplitRow]]) -> dict[ActionKey, str]:
    """Return the official split of every action in it, "train" or "test"."""
    return {row.clip.key: part for part, part_rows in rows.items() for row in part_rows}


def actions_of_splits(
    rows: Mapping[str, Sequence[SplitRow]], texts: Sequence[str], verbs: Sequence[str], nouns: Sequence[str]
) -> dict[str, list[Action]]:
    """Build every session's actions, by its key, from the split files alone.

    Args:
        rows: rows of both parts of a split.
        texts: names of the actions, by their id − 1; so are `verbs` and `nouns`.

    Raises:
        InputError: an id has no name.
    """
    actions: dict[str, list[Action]] = {}
    for part, part_rows in rows.items():
        for row in part_rows:
            clip = row.clip
            action = Action(
                start_s=clip.start_ms / 1000,
                end_s=clip.end_ms / 1000,
                text=_name(texts, row.action, "action", row.where),
                verb=_name(verbs, row.verb, "verb", row.where),
                noun=_name(nouns, row.nouns[0], "noun", row.where),
                split=part,
            )
            actions.setdefault(session_key(clip.session), []).append(action)
    return actions


def _name(names: Sequence[str], index: int, kind: str, where: str) -> str:
    if not 1 <= index <= len(names):
        raise InputError(f"{where}: {kind} {index} has no name in {kind}_idx.txt, which has 1 to {len(names)}")
    return names[index - 1]
