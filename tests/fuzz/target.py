"""A file to damage, and what reads it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from damage import Damage
from watched import check_read


@dataclass
class Target:
    """A file, how it is damaged, and what reads it: given the folder that it is in."""

    folder: Path
    file: str
    damage: Damage
    read: Callable[[Path], object]
    named: tuple[str, ...] = ()
    cost: int = 1  # how many times fewer examples

    def check(self, seed: int) -> None:
        """Damage the file by a seed, read what is in the folder, and put the file back."""
        path, rng = self.folder / self.file, random.Random(seed)
        whole = path.read_bytes()
        try:
            path.write_bytes(self.damage(whole, rng))
            check_read(lambda _: self.read(self.folder), path, self.named or (path.name, path.stem), seed % 4 == 0)
        finally:
            path.write_bytes(whole)
