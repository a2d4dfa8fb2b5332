"""Checkpoints that ship in this folder, each under the name of its own, with a page that says how it was made."""

from pathlib import Path

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.suggestions import did_you_mean, nearest_path

HERE = Path(__file__).parent


def shipped_checkpoints() -> dict[str, Path]:
    """List the folders of shipped checkpoints by name."""
    return {config.parent.name: config.parent for config in sorted(HERE.glob("*/config.json"))}


def locate_checkpoint(checkpoint: str) -> str:
    """Return the folder of a shipped checkpoint; a path or a hub name as it is.

    Args:
        checkpoint: folder, hub name (`owner/name`), or name of a shipped checkpoint, which has no slash.

    Raises:
        InputError: both a shipped checkpoint and a folder have this name.
        MissingFileError: a name without a slash that neither has.
    """
    shipped, is_there = shipped_checkpoints(), Path(checkpoint).exists()
    if checkpoint in shipped:
        if is_there:
            raise InputError(
                f"{checkpoint} ships with this package, and is a path here too: write ./{checkpoint} for that path, or "
                "rename it"
            )
        return str(shipped[checkpoint])
    if "/" not in checkpoint and not is_there:
        raise MissingFileError(
            f"no checkpoint {checkpoint}: it is no folder, and none that ships ({', '.join(shipped)})"
            f"{did_you_mean(checkpoint, shipped) or nearest_path(Path(checkpoint))}"
        )
    return checkpoint
