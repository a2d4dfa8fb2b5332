"""Features of clips on disk: what a frozen vision tower makes of their frames, one file a clip.

A file is named by what it was made of, in a folder named by what made it. So runs share files exactly where both are
the same, and none is ever out of date.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gaze_vlm.errors import InputError
from gaze_vlm.json_files import write_json
from gaze_vlm.output import write_atomically

NAME = "features"


def digest_of(value: object) -> str:
    """Return a digest of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]


class FeatureFiles:
    """Features of one model's frozen tower.

    Args:
        root: folder of the features of all models.
        identity: plain values that say which model it is, its weights included.
    """

    def __init__(self, root: Path, identity: Mapping[str, object]) -> None:
        self.identity = identity
        self.folder = root / digest_of(identity)

    def path(self, clip: str) -> Path:
        """Return the file of a clip, by the digest of its content."""
        return self.folder / clip[:2] / f"{clip}.safetensors"

    def write(self, clip: str, features: Float[Tensor, "group token width"]) -> None:
        """Write a clip's features, all or nothing; it does not matter who is first.

        Raises:
            OutputError: the file system refused.
        """
        page = self.folder / "model.json"
        if not page.is_file():
            write_json(page, self.identity)
        write_atomically(self.path(clip), save({NAME: features.contiguous().cpu()}))

    def read(self, clip: str) -> Float[Tensor, "group token width"]:
        """Read a clip's features, memory-mapped.

        Raises:
            InputError: the file is gone or damaged.
        """
        path = self.path(clip)
        try:
            with safe_open(path, framework="pt") as file:
                features: Tensor = file.get_tensor(NAME)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{path} is gone or damaged ({error}): delete it if it is there, and run again, which makes it anew"
            ) from error
        return features


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors")) if folder.is_dir() else 0
