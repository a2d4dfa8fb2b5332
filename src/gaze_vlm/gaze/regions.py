"""Regions of a frame that attention may be pulled toward in place of gaze, and their exact mass on any patch grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import check_min_mass_in_view, patch_distribution
from gaze_vlm.gaze.view import WHOLE_FRAME, Grid, View


@dataclass(frozen=True)
class Spot:
    """A Gaussian about a point; its sigma is that of gaze.

    Args:
        x, y: of the point, normalised to the frame, origin top left.
        weight: of the region in its frame, above 0.
    """

    x: float
    y: float
    weight: float = 1.0


@dataclass(frozen=True)
class Box:
    """A part of the frame that counts evenly.

    Args:
        left, top, right, bottom: its sides, normalised to the frame, origin top left.
        weight: of the region in its frame, above 0.
    """

    left: float
    top: float
    right: float
    bottom: float
    weight: float = 1.0


@dataclass(frozen=True)
class Mask:
    """Pixels of the frame that count evenly, of a mask at any size, which spans the frame.

    Args:
        runs: lengths of runs of pixels outside and inside in turn, column by column from the top left, the first
            outside (COCO's run-length encoding). Empty: `file` has the pixels.
        size_px: height and width of `runs`.
        file: a picture whose pixels that are not black are inside. It is read when it is needed.
        weight: of the region in its frame, above 0.
    """

    runs: tuple[int, ...] = ()
    size_px: tuple[int, int] = (0, 0)
    file: Path | None = None
    weight: float = 1.0

    def pixels(self) -> Bool[np.ndarray, "height width"]:
        """Return which pixels are inside.

        Raises:
            InputError: the picture cannot be read, or is black.
        """
        if self.file is None:
            return np.repeat(np.arange(len(self.runs)) % 2 == 1, self.runs).reshape(self.size_px, order="F")
        picture = cv2.imread(str(self.file), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise InputError(f"{self.file} is gone or no picture: put the mask there again")
        inside: np.ndarray = np.atleast_3d(picture)[..., :3].max(-1) > 0
        if not inside.any():
            raise InputError(f"{self.file} is black: a mask needs a pixel that is not, or delete its line")
        return inside


Region = Spot | Box | Mask


@dataclass(frozen=True)
class FrameRegions:
    """Regions of the frames of a clip, in place of a gaze mixture.

    Args:
        frames: the regions of each frame, with weights above 0; none where the frame has no target.
        sigma: of points, in frame widths.
        aspect: the frame's width over its height.

    Example:
        A frame whose left half counts, and one without a target:

        >>> targets = FrameRegions([[Box(0.0, 0.0, 0.5, 1.0)], []], sigma=0.0184, aspect=4 / 3)
        >>> distribution, valid = targets.on(Grid(1, 4))
        >>> distribution[0], valid
        (tensor([0.5000, 0.5000, 0.0000, 0.0000]), tensor([ True, False]))
    """

    frames: Sequence[Sequence[Region]]
    sigma: float
    aspect: float

    def on(
        self, grid: Grid, view: View = WHOLE_FRAME, min_mass_in_view: float = 0.5
    ) -> tuple[Float[Tensor, "frame patch"], Bool[Tensor, " frame"]]:
        """Return each frame's patch distribution, and whether the frame is valid.

        Each region has its weight, spread over it. Mass outside the view is lost and the rest renormalised, as of a
        `GazeMixture`; a frame is valid if it has a region and the share of its mass in view is at least
        `min_mass_in_view`, in (0, 1].

        Raises:
            InputError: `min_mass_in_view` is out of its range, or a mask's picture cannot be read.
        """
        check_min_mass_in_view(min_mass_in_view)
        mass = torch.stack([self._mass(regions, grid, view) for regions in self.frames])
        given = torch.tensor([sum(region.weight for region in regions) for regions in self.frames])
        in_view = mass.sum(-1)
        tiny = torch.finfo(mass.dtype).tiny
        return mass / in_view.clamp_min(tiny)[:, None], (given > 0) & (
            in_view / given.clamp_min(tiny) >= min_mass_in_view
        )

    def _mass(self, regions: Sequence[Region], grid: Grid, view: View) -> Float[Tensor, " patch"]:
        mass = torch.zeros(len(grid))
        for region in regions:
            mass += region.weight * self._of_one(region, grid, view)
        return mass

    def _of_one(self, region: Region, grid: Grid, view: View) -> Float[Tensor, " patch"]:
        """The share of a region's mass in each patch."""
        if isinstance(region, Spot):
            place, one = torch.tensor([[region.x, region.y]]), torch.ones(1)
            distribution, in_view = patch_distribution(place, one, self.sigma, self.aspect, view, grid)
            return distribution * in_view
        if isinstance(region, Box):
            x, y = torch.tensor([region.left, region.right]), torch.tensor([region.top, region.bottom])
            pixels = torch.ones(1, 1)
        else:
            pixels = torch.from_numpy(region.pixels()).float()
            x, y = (torch.linspace(0, 1, side + 1) for side in (pixels.shape[1], pixels.shape[0]))
        seen_x, seen_y = (
            (edges - start) / size for edges, start, size in zip((x, y), (view.left, view.top), view.size, strict=True)
        )
        mass = _shares(seen_y, grid.rows) @ pixels @ _shares(seen_x, grid.columns).T
        return mass.flatten() / pixels.sum()


def _shares(edges: Float[Tensor, " edge"], cells: int) -> Float[Tensor, "cell interval"]:
    """The share of each interval between neighbouring edges that lies in each of `cells` equal cells of [0, 1]."""
    cell = torch.linspace(0, 1, cells + 1)[:, None]
    low, high = torch.maximum(edges[:-1], cell[:-1]), torch.minimum(edges[1:], cell[1:])
    return (high - low).clamp_min(0) / edges.diff()
