"""Render the embedded data set: sessions of several participants, in another data set's own files."""

import json
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

from gaze_vlm.cores import cores
from gaze_vlm.errors import InputError
from gaze_vlm.json_files import read_json
from gaze_vlm.kitchen.recipes import RECIPE_NAMES
from gaze_vlm.kitchen.sheet import write_sheet
from gaze_vlm.kitchen.truth import ActionBox
from gaze_vlm.kitchen.write_session import FILE_FORMATS, FileFormatName, SessionToWrite, WrittenSession, write_session
from gaze_vlm.output import check_output_folder, remove_drafts, write_atomically
from gaze_vlm.progress import track
from gaze_vlm.ranges import at_least, is_seed
from gaze_vlm.workers import results_of

VERSION = 2
"""Raise it when the same parameters no longer give the same frames, gaze or text; the encoding does not count."""
DESCRIPTION_FILE = "kitchen.json"
BOXES_FILE = "action_boxes.csv"
"""Targets for `data.targets`, which no reader opens."""
EARLY_END_EVERY = 10


def build_kitchen(
    root: Path,
    participants: int = 34,
    seed: int = 0,
    workers: int | None = None,
    recipes: int = len(RECIPE_NAMES),
    file_format: FileFormatName = "egtea",
) -> Path:
    """Write the embedded kitchen: every participant does every recipe once.

    A root that already holds this kitchen is left as it is; an interrupted one is completed. Beside the data set's
    own files lie kitchen.json, and action_boxes.csv with the true object of each action.

    Args:
        root: folder to write; made if it is missing.
        participants: how many people cook.
        seed: the same seed gives the same bytes of gaze and text, whatever the number of workers.
        workers: processes that render; by default one a core.
        recipes: how many of the six recipes each participant does.
        file_format: whose files to write: EGTEA Gaze+'s, or Ego4D's with its own rates and narrations.

    Returns:
        The root.

    Raises:
        InputError: a number is out of range, the format is unknown, or the root holds something else.
        CommandError: a process that renders has died.
    """
    is_seed(seed)
    at_least(1, participants=participants, recipes=recipes, workers=workers)
    if recipes > len(RECIPE_NAMES):
        raise InputError(f"recipes is {recipes}: choose 1 to {len(RECIPE_NAMES)}")
    if file_format not in FILE_FORMATS:
        raise InputError(f"file_format is {file_format!r}: choose {' or '.join(get_args(FileFormatName))}")
    root = Path(root)
    check_output_folder(root)
    parameters: dict[str, int | str] = {
        "version": VERSION,
        "participants": participants,
        "recipes": recipes,
        "seed": seed,
    }
    if file_format != "egtea":  # the first format needs no mention
        parameters["shape"] = file_format
    if _is_complete(root, parameters):
        return root
    remove_drafts(root)
    _describe(root, parameters, complete=False, sessions={})
    to_write = [
        SessionToWrite(root, file_format, seed, participant, recipe, index % EARLY_END_EVERY == 1)
        for index, (participant, recipe) in enumerate(product(range(1, participants + 1), range(1, recipes + 1)))
    ]
    results = track(_write_all(to_write, workers or cores()), "Rendering sessions", len(to_write))
    ordered = sorted(results, key=lambda result: to_write.index(result.session))
    files = FILE_FORMATS[file_format]
    files.write_index(root, [result.notes for result in ordered])
    write_sheet(root / "sheet.png", [(one.participant, one.recipe) for one in to_write], seed, files.rates)
    write_atomically(root / BOXES_FILE, boxes_csv(ordered))
    truth = {result.notes.video_id: result.truth for result in ordered}
    _describe(root, parameters, complete=True, sessions=truth)
    return root


def _write_all(sessions: list[SessionToWrite], workers: int) -> Iterator[WrittenSession]:
    """Written sessions, in the order in which they are done."""
    if workers == 1:
        yield from map(write_session, sessions)
        return
    yield from results_of(write_session, sessions, min(workers, len(sessions)))


def _is_complete(root: Path, parameters: dict[str, int | str]) -> bool:
    """Whether this very kitchen is there.

    Raises:
        InputError: the root holds another kitchen, or files that are no kitchen.
    """
    path = root / DESCRIPTION_FILE
    if not path.exists():
        if root.exists() and any(root.iterdir()):
            raise InputError(f"{root} holds files but no {DESCRIPTION_FILE}: choose an empty folder for the kitchen")
        return False
    description = read_json(path, "choose another root or delete this one")
    if description["parameters"] != parameters:
        raise InputError(
            f"{path} describes another kitchen ({description['parameters']}, wanted {parameters}): "
            "choose another root or delete this one"
        )
    return bool(description["complete"]) and (root / BOXES_FILE).is_file()  # kitchens of older versions lack it


def boxes_csv(sessions: Iterable[WrittenSession]) -> str:
    """Write the boxes of the actions' objects as `data.targets` reads them."""
    lines = [
        f"{session.notes.video_id},{box.time_s:g},box,{','.join(map(str, box[1:]))}"
        for session in sessions
        for box in session.boxes
    ]
    return "\n".join([f"video_id,time_s,kind,{','.join(ActionBox._fields[1:])}", *lines]) + "\n"


def _describe(root: Path, parameters: dict[str, int | str], complete: bool, sessions: dict[str, Any]) -> None:
    description = {"parameters": parameters, "complete": complete, "sessions": sessions}
    write_atomically(root / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")
