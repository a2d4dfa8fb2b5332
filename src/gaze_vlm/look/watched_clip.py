"""A clip with an answer and the attention behind it: what the page and the figure show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import View
from gaze_vlm.look.kept_maps import SourceMaps
from gaze_vlm.look.watching import Source


@dataclass(frozen=True)
class GazeOnGrids:
    """Gaze of the frames: its points, and its distribution on the patches of each source that reads any.

    A source takes `frames_per_group` frames as one; `valid` says whether the gaze of such a group counts.
    """

    points: GazeMixture
    of_source: Mapping[Source, Float[np.ndarray, "group patch"]]
    valid: Bool[np.ndarray, " group"]


@dataclass(frozen=True)
class WatchedClip:
    """Frames, what was asked and answered, and where the model looked.

    `times_s` count as players do, from the start of the file. `tokens` are the answer's, with the probability that the
    model gave each. Maps lie on `covered` of a frame, and are of groups of `frames_per_group` frames.
    """

    model: str
    prompt: str
    given: bool
    frames: UInt8[np.ndarray, "frame 3 y x"]
    times_s: Sequence[float]
    tokens: Sequence[str]
    probabilities: Sequence[float]
    sources: Sequence[SourceMaps]
    covered: View
    frames_per_group: int
    gaze: GazeOnGrids | None = None

    @property
    def groups(self) -> int:
        """Frame groups, each with its own share and map."""
        return len(self.frames) // self.frames_per_group
