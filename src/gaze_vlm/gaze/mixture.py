"""Gaze mixtures, and their exact mass on any patch grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.view import WHOLE_FRAME, Grid, View


@dataclass
class GazeMixture:
    """Gaze of the frames of a clip, or of several, as weighted Gaussians.

    They are isotropic in the pixels of the full frame. Source: paper §3, whose heat maps these are before they are
    drawn.

    Args:
        xy: gaze points [*clip, frame, point, 2], (x, y) normalised to the full frame, origin top left. One without
            weight may be anything.
        weight: of each point [*clip, frame, point], 0 for a point that does not count.
        sigma: standard deviation of each Gaussian in frame widths (the paper: 20 px of 1088, 0.0184).
        aspect: the frame's width over its height, a number, or one a clip [clip, 1, 1].

    Example:
        Two frames of 640 × 480 px, with two points and with one:

        >>> xy = torch.tensor([[[0.5, 0.5], [0.6, 0.5]], [[0.1, 0.2], [0.0, 0.0]]])
        >>> gaze = GazeMixture(xy, weight=torch.tensor([[1.0, 1.0], [1.0, 0.0]]), sigma=0.0184, aspect=640 / 480)
        >>> distribution, valid = gaze.on(Grid(24, 24))
        >>> distribution.shape, valid
        (torch.Size([2, 576]), tensor([True, True]))
    """

    xy: Float[Tensor, "*clip frame point 2"]
    weight: Float[Tensor, "*clip frame point"]
    sigma: float
    aspect: float | Float[Tensor, "clip 1 1"]

    # By value, between processes: a tensor would lie in shared memory, open for as long as a loader keeps the clip.

    def __getstate__(self) -> dict[str, Any]:
        return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)

    @classmethod
    def stack(cls, mixtures: Sequence["GazeMixture"]) -> "GazeMixture":
        """Return the mixture of several clips of as many frames, and of one sigma.

        Where they differ in points, points that do not count are added.
        """
        xy, weight = [mixture.xy for mixture in mixtures], [mixture.weight for mixture in mixtures]
        points = max(one.shape[-1] for one in weight)
        missing = [points - one.shape[-1] for one in weight]
        if any(missing):
            xy = [functional.pad(one, (0, 0, 0, more)) for one, more in zip(xy, missing, strict=True)]
            weight = [functional.pad(one, (0, more)) for one, more in zip(weight, missing, strict=True)]
        aspects = {float(mixture.aspect) for mixture in mixtures}
        each = torch.tensor([float(mixture.aspect) for mixture in mixtures], dtype=torch.float64)
        aspect = aspects.pop() if len(aspects) == 1 else rearrange(each, "clip -> clip 1 1")
        return cls(torch.stack(xy), torch.stack(weight), mixtures[0].sigma, aspect)

    def on(
        self, grid: Grid, view: View = WHOLE_FRAME, min_mass_in_view: float = 0.5
    ) -> tuple[Float[Tensor, "*clip frame patch"], Bool[Tensor, "*clip frame"]]:
        """Return each frame's patch distribution, and whether the frame is valid.

        It is valid if some point counts and the share of the mass in view is at least `min_mass_in_view`, in (0, 1].

        Args:
            grid: rows and columns of patches.
            view: the part of the frame that the grid covers.
            min_mass_in_view: see above.

        Returns:
            The distribution [*clip, frame, patch], row-major, which sums to 1 (see `patch_distribution`), and whether
            each frame is valid [*clip, frame].

        Raises:
            InputError: `min_mass_in_view` is out of its range, or `sigma` is not above 0.

        Example:
            A frame with one point, and one without gaze:

            >>> xy, weight = torch.tensor([[[0.5, 0.25]], [[0.0, 0.0]]]), torch.tensor([[1.0], [0.0]])
            >>> gaze = GazeMixture(xy, weight, sigma=0.02, aspect=4 / 3)
            >>> distribution, valid = gaze.on(Grid(2, 2))
            >>> distribution[0], valid
            (tensor([0.5000, 0.5000, 0.0000, 0.0000]), tensor([ True, False]))
        """
        check_min_mass_in_view(min_mass_in_view)
        distribution, in_view = patch_distribution(self.xy, self.weight, self.sigma, self.aspect, view, grid)
        return distribution, in_view >= min_mass_in_view

    def fixations_on(self, grid: Grid, view: View) -> Float[Tensor, "*clip frame patch"]:
        """Return the weight of the gaze points that lie in each patch of the view.

        Those outside lie in none, so a frame that is valid by its mass in view may have no fixation.
        """
        xy = view.points(torch.where(self.weight[..., None] > 0, self.xy, -1.0))
        inside = ((xy >= 0) & (xy <= 1)).all(-1)
        sides = xy.new_tensor([grid.columns, grid.rows])
        column, row = torch.minimum((xy.clamp(0, 1) * sides).floor(), sides - 1).long().unbind(-1)
        patches = torch.zeros(*self.weight.shape[:-1], len(grid)).to(self.weight)
        return patches.scatter_add(-1, row * grid.columns + column, self.weight * inside)


def check_min_mass_in_view(share: float) -> None:
    """Check the share of a frame's gaze mass that must be in view for the frame to count.

    Raises:
        InputError: it is not in (0, 1]. At 0, frames without gaze would count; above 1, none would.
    """
    if not 0 < share <= 1:
        raise InputError(f"min_mass_in_view is {share}; expected a share above 0 and up to 1")


def patch_distribution(
    xy: Float[Tensor, "*frame point 2"],
    weight: Float[Tensor, "*frame point"],
    sigma: float,
    aspect: float | Float[Tensor, "*#frame #point"],
    view: View,
    grid: Grid,
) -> tuple[Float[Tensor, "*frame patch"], Float[Tensor, "*frame"]]:
    """Compute the mass of a gaze mixture in each patch of the view, exactly.

    It is the H̃ of the paper, §3, without drawing a map.

    The mass of an isotropic Gaussian in an axis-aligned patch is a product of two differences of the normal CDF.
    Mass outside the view is lost and the rest renormalised.

    Args:
        xy: gaze points of each frame, normalised to the full frame, origin top left. One without weight may be NaN.
        weight: of each point, 0 or more; 0 leaves it out.
        sigma: standard deviation of each Gaussian, in frame widths.
        aspect: the frame's width over its height.
        view: the part of the frame that the grid covers.
        grid: rows and columns of patches.

    Returns:
        The distribution [*frame, patch], row-major, which sums to 1 (or is all 0 where no mass is in view), and the
        share of the mass that is in view [*frame], 0 where no point counts.

    Raises:
        InputError: `sigma` is not above 0.

    Example:
        One point on the border of the two upper patches, a quarter down:

        >>> xy, weight = torch.tensor([[0.5, 0.25]]), torch.ones(1)
        >>> distribution, in_view = patch_distribution(xy, weight, 0.02, 4 / 3, View(), Grid(2, 2))
        >>> distribution
        tensor([0.5000, 0.5000, 0.0000, 0.0000])
    """
    if sigma <= 0:
        raise InputError(f"gaze sigma {sigma} must be above 0: give it in frame widths, the paper's is 0.0184")
    # A point without weight may lie anywhere, NaN included.
    xy = torch.where(weight[..., None] > 0, xy, 0.5).float()
    centre, (width, height) = view.points(xy), view.size
    mass_x = _axis_mass(centre[..., 0], sigma / width, grid.columns)
    mass_y = _axis_mass(centre[..., 1], sigma * aspect / height, grid.rows)
    mass = einsum(weight.float(), mass_y, mass_x, "... point, ... point row, ... point column -> ... row column")
    mass = rearrange(mass, "... row column -> ... (row column)")
    total = mass.sum(-1)
    distribution = mass / total.clamp_min(torch.finfo(mass.dtype).tiny)[..., None]
    return distribution, total / weight.float().sum(-1).clamp_min(torch.finfo(mass.dtype).tiny)


def average_groups(
    distribution: Float[Tensor, "*clip frame patch"], valid: Bool[Tensor, "*clip frame"], frames_per_group: int
) -> tuple[Float[Tensor, "*clip group patch"], Bool[Tensor, "*clip group"]]:
    """Average the patch distributions of each group of frames.

    It is for a model that takes them as one.

    Returns:
        The mean over the valid frames of a group (over all where none is), and whether any is valid.
    """
    valid = rearrange(valid, "... (group frame) -> ... group frame", frame=frames_per_group)
    counts = valid | ~valid.any(-1, keepdim=True)
    weight = counts / counts.sum(-1, keepdim=True)
    distribution = rearrange(distribution, "... (group frame) patch -> ... group frame patch", frame=frames_per_group)
    return einsum(distribution, weight, "... group frame patch, ... group frame -> ... group patch"), valid.any(-1)


def _axis_mass(
    centre: Float[Tensor, "*frame point"], sigma: float | Float[Tensor, "*#frame #point"], cells: int
) -> Float[Tensor, "*frame point cell"]:
    """Mass of one-dimensional Gaussians in each of `cells` equal cells of [0, 1]."""
    edges = torch.linspace(0, 1, cells + 1, device=centre.device)
    distance = edges - centre[..., None]
    cdf = torch.special.ndtr(distance / (sigma[..., None].to(distance) if isinstance(sigma, Tensor) else sigma))
    return cdf.diff(dim=-1)
