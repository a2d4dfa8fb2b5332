"""Attention scored against gaze, a batch at a time: each sample, and each head of each layer."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.attention.regularizer import gaze_divergence
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.datamodules.gaze_sources import centre_prior
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.metrics.saliency import (
    area_under_curve,
    area_under_judds_curve,
    correlation,
    information_gain,
    scanpath_saliency,
    similarity,
    top_overlap,
)

HEADS_AT_ONCE = 32  # bounds the memory, however many layers there are


@dataclass(frozen=True)
class GazeOnGrid:
    """Gaze of a batch on the grid of its attention.

    `fixations` is the weight of the gaze points in each patch, of valid frames alone; `elsewhere` that of all other
    sessions; `centre` the prior that information is gained over. `valid` groups have a distribution that counts.
    """

    distribution: Float[Tensor, "batch group patch"]
    valid: Bool[Tensor, "batch group"]
    fixations: Float[Tensor, "batch group patch"]
    centre: Float[Tensor, "batch 1 patch"]
    elsewhere: Float[Tensor, "batch 1 patch"]

    @property
    def fixated(self) -> Bool[Tensor, "batch group"]:
        """Whether a gaze point lies in view."""
        return self.fixations.sum(-1) > 0

    @property
    def partly_fixated(self) -> Bool[Tensor, "batch group"]:
        """Whether gaze points lie in some patches and not in all."""
        return self.fixated & (self.fixations == 0).any(-1)


@dataclass(frozen=True)
class HeadSums:
    """Sums of the scores of each head over frames, and how many frames have them.

    Scores are `scores.OF_HEADS`. Heads of several layers stand in order of the layers.
    """

    sums: Float[Tensor, "score head"]
    frames: Float[Tensor, " score"]

    def __add__(self, other: "HeadSums") -> "HeadSums":
        return HeadSums(self.sums + other.sums, self.frames + other.frames)


def sample_scores(attention: PatchAttention, gaze: GazeOnGrid, floor: float) -> list[dict[str, float]]:
    """Score the mean of the heads of each sample, averaged over its frames.

    Frames count that have the score. A score that no frame has is left out.

    Args:
        attention: of a batch.
        gaze: of the batch.
        floor: ε of both divergences and of the information gain.
    """
    log_probs = attention.head_mean()
    probs, fixations = log_probs.exp(), gaze.fixations
    of_frames = {
        "attention_kl": (gaze_divergence(log_probs, gaze.distribution, "attention_to_gaze", floor), gaze.valid),
        "attention_reverse_kl": (gaze_divergence(log_probs, gaze.distribution, "gaze_to_attention", floor), gaze.valid),
        "attention_cc": (correlation(probs, gaze.distribution), gaze.valid),
        "attention_sim": (similarity(probs, gaze.distribution), gaze.valid),
        "attention_nss": (scanpath_saliency(probs, fixations), gaze.fixated),
        "attention_auc": (area_under_judds_curve(probs, fixations), gaze.partly_fixated),
        "attention_shuffled_auc": (
            area_under_curve(probs, fixations, gaze.elsewhere),
            gaze.fixated & (gaze.elsewhere.sum(-1) > 0),
        ),
        "attention_information_gain": (information_gain(probs, gaze.centre, fixations, floor), gaze.fixated),
        "attention_top10": (top_overlap(probs, gaze.distribution), gaze.valid),
    }
    values, counted = (torch.stack(part) for part in zip(*of_frames.values(), strict=True))
    means = torch.where(counted, values, 0.0).sum(-1) / counted.sum(-1)
    rows = zip(means.T.tolist(), counted.any(-1).T.tolist(), strict=True)
    return [{name: mean for name, mean, has in zip(of_frames, *row, strict=True) if has} for row in rows]


def head_sums(attention: PatchAttention, gaze: GazeOnGrid, floor: float) -> HeadSums:
    """Sum the scores of each head over the frames of a batch.

    Arguments are those of `sample_scores`.
    """
    of_frames, fixations = (
        rearrange(one, "batch group patch -> batch group 1 patch") for one in (gaze.distribution, gaze.fixations)
    )
    counted = torch.stack([gaze.valid, gaze.fixated, gaze.partly_fixated])
    sums = []
    for log_probs in attention.log_probs.split(HEADS_AT_ONCE, dim=2):
        probs = log_probs.exp()
        kl = gaze_divergence(log_probs, of_frames, "attention_to_gaze", floor)
        values = torch.stack([kl, scanpath_saliency(probs, fixations), area_under_judds_curve(probs, fixations)])
        values = torch.where(rearrange(counted, "score batch group -> score batch group 1"), values, 0.0)
        sums.append(values.cpu().double().sum((1, 2)))
    return HeadSums(torch.cat(sums, dim=1), counted.sum((1, 2)).cpu().double())


class AttentionScorer:
    """Scores the attention of one evaluation against gaze.

    Args:
        view: the part of the frame that the grid covers.
        min_mass_in_view: share of a frame's gaze mass that must be in view for the frame to count.
        floor: see `sample_scores`.
        fixations: of each session, the weight of all its gaze points in each patch. Those of the other sessions are
            the negatives of the shuffled AUC, which is left out without them.
    """

    def __init__(
        self,
        view: View,
        min_mass_in_view: float,
        floor: float,
        fixations: Mapping[str, Float[Tensor, " patch"]] | None = None,
    ) -> None:
        self.view = view
        self.min_mass_in_view = min_mass_in_view
        self.floor = floor
        self.fixations = fixations or {}
        self.of_all: Tensor | float = sum(self.fixations.values())
        self.heads: HeadSums | None = None  # over all batches

    def __call__(self, attention: PatchAttention, batch: Batch) -> list[dict[str, float]]:
        """Score each sample of a batch, and add what its frames say of each head."""
        gaze = self.on_grid(batch, attention.grid)
        heads = head_sums(attention, gaze, self.floor)
        self.heads = heads if self.heads is None else self.heads + heads
        return sample_scores(attention, gaze, self.floor)

    def on_grid(self, batch: Batch, grid: Grid) -> GazeOnGrid:
        """Return the gaze of a batch on a grid, on the batch's device."""
        mixture = GazeMixture.stack([clip.gaze for clip in batch.clips])
        _, valid = mixture.on(grid, self.view, self.min_mass_in_view)
        of_frames = mixture.fixations_on(grid, self.view) * valid[..., None]
        groups = batch.valid.shape[1]
        fixations = rearrange(of_frames, "batch (group frame) patch -> batch group frame patch", group=groups).sum(2)
        prior = GazeMixture.stack([centre_prior(1, float(clip.gaze.aspect)) for clip in batch.clips])
        centre, _ = prior.on(grid, self.view, self.min_mass_in_view)
        nothing = torch.zeros(len(grid))
        elsewhere = [
            self.of_all - self.fixations[clip.session] if clip.session in self.fixations else nothing
            for clip in batch.clips
        ]
        return GazeOnGrid(
            distribution=batch.gaze,
            valid=batch.valid,
            fixations=fixations.to(batch.gaze),
            centre=centre.to(batch.gaze),
            elsewhere=torch.stack(elsewhere)[:, None].to(batch.gaze),
        )
