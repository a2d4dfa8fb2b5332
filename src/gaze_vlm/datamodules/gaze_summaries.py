"""What the gaze of a data set's clips amounts to: how much of it is valid, and where each session looks."""

import torch
from jaxtyping import Float
from torch import Tensor

from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid, View


def valid_share(dataset: ClipDataset, view: View, min_mass_in_view: float) -> float:
    """Return the share of frames with something to be pulled toward.

    It is gaze with its noise, or targets, in a view.

    Args:
        dataset: the clips.
        view: how a frame goes into the model.
        min_mass_in_view: share of a frame's gaze mass that must be in view for the frame to count.
    """
    if dataset.targets is not None:
        given = [dataset.described(position).targets for position in range(len(dataset.records))]
        seen = [one.on(Grid(1, 1), view, min_mass_in_view)[1] for one in given if one is not None]
        return float(torch.cat(seen).float().mean())
    by_frames: dict[int, list[GazeMixture]] = {}
    for position, record in enumerate(dataset.records):
        by_frames.setdefault(record.frames, []).append(dataset.described(position).gaze)
    valid = [
        GazeMixture.stack(mixtures).on(Grid(1, 1), view, min_mass_in_view)[1].flatten()
        for mixtures in by_frames.values()
    ]
    return float(torch.cat(valid).float().mean())


def fixations_of_sessions(
    dataset: ClipDataset, grid: Grid, view: View, min_mass_in_view: float
) -> dict[str, Float[Tensor, " patch"]]:
    """Return the weight of the gaze points in each patch, over all frames of each session.

    Args:
        dataset: the clips.
        grid: patches of a frame.
        view: the part of the frame that the grid covers.
        min_mass_in_view: share of a frame's gaze mass that must be in view for the frame to count.
    """
    fixations: dict[str, Tensor] = {}
    for position, record in enumerate(dataset.records):
        mixture = dataset.described(position).gaze
        _, valid = mixture.on(grid, view, min_mass_in_view)
        of_clip = mixture.fixations_on(grid, view)[valid].sum(0)
        fixations[record.session] = fixations.get(record.session, 0) + of_clip
    return fixations
