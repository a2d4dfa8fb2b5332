"""Where a kitchen's checkpoint is made: beside its folder, and moved there whole with a page of facts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import read_json
from gaze_vlm.output import check_output_folder, draft_folder, writing

PAGE = "pretraining.json"


@contextmanager
def checkpoint_folder(output: Path, facts: dict[str, Any]) -> Iterator[Path | None]:
    """Yield a new folder to save a checkpoint in, which becomes `output` at the end.

    An interrupted checkpoint is made again.

    Args:
        output: the checkpoint's folder: one that is not there, or empty.
        facts: how the checkpoint is made. What it can do may be added on the way; all are written beside it.

    Yields:
        The folder; None where `output` holds a checkpoint that was made this way, which is kept.

    Raises:
        InputError: `output` holds something else.
    """
    check_output_folder(output)
    page = output / PAGE
    if page.is_file() and facts.items() <= read_json(page, "delete the folder, or choose another").items():
        print(f"{output} is there already")
        yield None
        return
    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty and holds another backbone: delete it or choose another folder")
    with draft_folder(output) as draft:
        yield draft
        with writing(output):
            (draft / PAGE).write_text(json.dumps(facts, indent=1) + "\n")
