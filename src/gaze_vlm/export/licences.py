"""Licences of what a model was made of, as far as they are known."""

import re
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from gaze_vlm.kitchen.build import DESCRIPTION_FILE
from gaze_vlm.preparation.records import Manifest
from gaze_vlm.shipped.checkpoints import shipped_checkpoints

OF_THE_PACKAGE = "apache-2.0"
MOST_LETTERS = 2**16  # of a page that are read
SIGNED = (
    "which every user signs, and which does not let the data be passed on. Read in it what holds for models that were "
    "trained on them before you share this one."
)
DATA_SETS = {
    "egtea": f"EGTEA Gaze+, under a licence of its own, {SIGNED}",
    "ego4d": f"Ego4D, under the Ego4D licence agreement, {SIGNED}",
    "folder": "A folder of videos with gaze of whoever trained it, who knows its licence: state it here.",
}
"""By the reader that a store was prepared with."""
KITCHEN = (
    "The embedded kitchen of gaze-vlm-lightning (Apache-2.0): drawn, with simulated gaze. It is nobody's data, and "
    "shows nothing about people."
)


def is_kitchen(manifest: Manifest) -> bool:
    """Whether a store was prepared from the embedded kitchen, which is in another data set's files."""
    return (Path(manifest.root) / DESCRIPTION_FILE).is_file()


def data_licence(manifest: Manifest | None) -> str:
    """Say in a sentence what the training data are, and under which licence."""
    if manifest is None:
        return "The prepared data were not there at the export, so their licence is not known: state it here."
    return KITCHEN if is_kitchen(manifest) else DATA_SETS[manifest.dataset]


def hub_name(checkpoint: str) -> str | None:
    """Return a checkpoint's name on the model hub; None for a folder or a shipped checkpoint."""
    try:
        validate_repo_id(checkpoint)
    except HFValidationError:
        return None
    return checkpoint if "/" in checkpoint and not Path(checkpoint).exists() else None


def base_licence(checkpoint: str) -> str | None:
    """Return a base checkpoint's licence as its own page states it, where that page is on this machine.

    Args:
        checkpoint: folder, hub name, or name of a shipped checkpoint.

    Returns:
        The hub's name of a licence, such as `apache-2.0`; None where there is no page, or it states none.
    """
    if checkpoint in shipped_checkpoints():
        return OF_THE_PACKAGE
    page = Path(checkpoint) / "README.md"
    if (name := hub_name(checkpoint)) is not None:
        cached = try_to_load_from_cache(name, "README.md")
        page = Path(cached) if isinstance(cached, str) else page
    if not page.is_file():
        return None
    with page.open(encoding="utf-8", errors="replace") as stream:
        head = re.match(r"---\n(.*?\n)---\n", stream.read(MOST_LETTERS), re.DOTALL)
    stated = None if head is None else re.search(r"(?m)^license: *([a-z0-9][a-z0-9.-]{1,40}) *$", head[1])
    return None if stated is None else stated[1]


def base_terms(checkpoint: str) -> str:
    """Say under which licence a base checkpoint is."""
    licence, name = base_licence(checkpoint), hub_name(checkpoint)
    if licence is not None:
        return f"under {licence}, as its own page says"
    return "whose licence is not known here: " + (
        "state it" if name is None else f"see its page, https://huggingface.co/{name}"
    )
