"""Labels that can be scored: each is in the vocabulary, and its own text names it first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gaze_vlm.formats.recording import Action, Recording
from gaze_vlm.formats.vocabulary import vocabulary

UNKNOWN = "not in the data set's vocabulary"
UNNAMED = "not the first that its text names"


def with_labels(
    recordings: Sequence[Recording], verbs: Sequence[str], nouns: Sequence[str]
) -> tuple[list[Recording], list[dict[str, Any]]]:
    """Read each action's nouns, and remove labels that no answer could score with.

    A label that the vocabulary lacks, or that its own text does not name first, would make the target text itself
    score 0. The action stays, without that label.

    Args:
        recordings: as the data set's reader returns them.
        verbs: the data set's verb labels.
        nouns: its noun labels.

    Returns:
        The recordings, and what was removed: `kind`, `label`, `reason`, number of `actions` and one `text`, the
        commonest first.
    """
    known = vocabulary(tuple(verbs), tuple(nouns))
    removed: dict[tuple[str, str, str], dict[str, Any]] = {}

    def scorable(action: Action) -> Action:
        named = known.named_nouns(action.text)
        labels = {}
        for kind, label, listed, first in (
            ("verb", action.verb, known.verbs, known.verb(action.text)),
            ("noun", action.noun, known.nouns, named[0] if named else None),
        ):
            spelled = None if label is None else listed.spelled(label)
            labels[kind] = spelled if spelled == first else None
            if label is not None and labels[kind] is None:
                reason = UNKNOWN if spelled is None else UNNAMED
                entry = {"kind": kind, "label": label, "reason": reason, "actions": 0, "text": action.text}
                removed.setdefault((kind, label, reason), entry)["actions"] += 1
        return replace(action, nouns=named, verb=labels["verb"], noun=labels["noun"])

    settled = [
        replace(recording, actions=tuple(scorable(action) for action in recording.actions)) for recording in recordings
    ]
    return settled, sorted(removed.values(), key=lambda entry: (-entry["actions"], entry["kind"], entry["label"]))
