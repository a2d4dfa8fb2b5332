"""The gaze regularizer: λ · divergence between attention and gaze, in fp32 from log-probabilities."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.errors import InputError
from gaze_vlm.precision import upcast
from gaze_vlm.ranges import above_zero, at_least

Direction = Literal["attention_to_gaze", "gaze_to_attention", "js"]
Schedule = Literal["constant", "warmup", "calibrated"]
LEAST_LOG = -100.0  # of a probability of 0
NO_GRADIENT = (
    "the divergence has no gradient: nothing trainable lies below the regularized attention. Train the part that it "
    "comes from (the vision tower for vision layers), or regularize another; checkpointing must not be re-entrant"
)
LEAST_WEIGHT = 1e-12  # of a λ above 0; its inverse is the largest


def kl_divergence(log_p: Float[Tensor, "*#any patch"], log_q: Float[Tensor, "*#any patch"]) -> Float[Tensor, "*any"]:
    """Compute KL(p ‖ q) = Σ p (log p − log q) in nats.

    A patch with p = 0 adds nothing. One with q = 0 is taken as e⁻¹⁰⁰, so that the divergence is large and finite.
    """
    log_p, log_q = log_p.clamp_min(LEAST_LOG), log_q.clamp_min(LEAST_LOG)  # 0 · −100 is 0 where 0 · −∞ is NaN
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def gaze_divergence(
    log_attention: Float[Tensor, "*#any patch"],
    gaze: Float[Tensor, "*#any patch"],
    direction: Direction = "attention_to_gaze",
    floor: float = 1e-3,
) -> Float[Tensor, "*any"]:
    """Compute the divergence of attention A from gaze H̃.

    The floor ε is mixed in: H = (1 − ε) H̃ + ε / patches. The value scales with ε, so report both. Source: paper §3.

    Args:
        log_attention: log-probabilities A [*any, patch].
        gaze: patch distributions H̃ [*any, patch], each of which sums to 1.
        direction: `attention_to_gaze` is the paper's KL(A ‖ H); `gaze_to_attention` is KL(H ‖ A); `js` is the
            Jensen–Shannon divergence, at most log 2.
        floor: ε, in [0, 1).

    Returns:
        The divergence [*any], in nats.

    Example:
        >>> attention = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
        >>> gaze_divergence(attention.log(), torch.tensor([[0.5, 0.5], [0.5, 0.5]]))
        tensor([0.0000, 0.3681])
    """
    log_gaze = ((1 - floor) * upcast(gaze) + floor / gaze.shape[-1]).log().clamp_min(LEAST_LOG)
    log_attention = upcast(log_attention).clamp_min(LEAST_LOG)
    if direction == "attention_to_gaze":
        return kl_divergence(log_attention, log_gaze)
    if direction == "gaze_to_attention":
        return kl_divergence(log_gaze, log_attention)
    log_middle = torch.logaddexp(log_attention, log_gaze) - math.log(2)
    return (kl_divergence(log_attention, log_middle) + kl_divergence(log_gaze, log_middle)) / 2


class GazeRegularizer(nn.Module):
    """Pulls attention toward gaze with the weight λ. It knows attention and gaze, and no model.

    Args:
        weight: λ, the factor of the divergence beside the cross-entropy. 0 keeps everything else as it is.
        direction: which divergence, see `gaze_divergence`.
        floor: ε, the share of the gaze distribution that is spread evenly over the patches.
        per_head: regularize each head by itself rather than the heads' mean.
        schedule: `constant`; `warmup` (λ grows linearly from 0 over `warmup_steps`); `calibrated` (λ follows the
            measured ratio of the two losses' gradient norms to `target_ratio`, starting at `weight`).
        warmup_steps: steps of the warm-up.
        target_ratio: ‖λ ∇divergence‖ / ‖∇cross-entropy‖ to hold by calibration.

    Raises:
        InputError: a number out of its range, or a schedule that lacks its own.

    Example:
        Even attention over four patches, in two frames, of which the second has no gaze:

        >>> from gaze_vlm import Grid
        >>> attention = PatchAttention(torch.full((1, 2, 1, 4), 0.25).log(), Grid(2, 2))
        >>> gaze = torch.tensor([[[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]])
        >>> divergence, frames = GazeRegularizer(weight=0.5)(attention, gaze, torch.tensor([[True, False]]))
        >>> divergence, frames
        (tensor([[4.8344, 0.0000]]), tensor(1.))
    """

    def __init__(
        self,
        weight: float = 1.0,
        direction: Direction = "attention_to_gaze",
        floor: float = 1e-3,
        per_head: bool = False,
        schedule: Schedule = "constant",
        warmup_steps: int = 0,
        target_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        if not (weight >= 0 and math.isfinite(weight)):
            raise InputError(f"regularizer weight (λ) is {weight}: it must be 0 or more; 0 is the control arm")
        if weight and not LEAST_WEIGHT <= weight <= 1 / LEAST_WEIGHT:
            raise InputError(
                f"regularizer weight (λ) is {weight:g}: it must be 0, or between {LEAST_WEIGHT:g} and "
                f"{1 / LEAST_WEIGHT:g}, which a loss in fp32 holds"
            )
        if not 0 <= floor < 1:
            raise InputError(f"regularizer floor (ε) is {floor}: it must be in [0, 1), 0.001 is a good start")
        at_least(0, warmup_steps=warmup_steps)
        above_zero(target_ratio=target_ratio)
        if schedule == "warmup" and warmup_steps < 1:
            raise InputError(f"schedule 'warmup' with warmup_steps {warmup_steps}: give at least 1 step")
        if schedule == "calibrated" and not weight > 0:
            raise InputError(f"schedule 'calibrated' with weight {weight}: it must be above 0, to start at")
        self.direction: Direction = direction
        self.floor = floor
        self.per_head = per_head
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.target_ratio = target_ratio
        self.configured_weight = weight
        self.register_buffer("weight", torch.tensor(float(weight)))  # a buffer, so that a resumed run keeps it
        self.weight: Tensor
        self.is_active = weight > 0

    def forward(
        self, attention: PatchAttention, gaze: Float[Tensor, "batch frame patch"], valid: Bool[Tensor, "batch frame"]
    ) -> tuple[Float[Tensor, "batch frame"], Float[Tensor, ""]]:
        """Return the divergence of each frame, and the number of valid frames.

        An invalid frame has 0 and no gradient.

        Whatever attention and gaze an invalid frame has, NaN even, is replaced before a logarithm is taken: a mask
        behind it would let the NaN through the backward pass.

        Raises:
            InputError: attention and gaze are on different grids.
        """
        if attention.log_probs.shape[-1] != gaze.shape[-1]:
            raise InputError(
                f"attention is on a grid of {attention.grid} = {attention.log_probs.shape[-1]} patches, "
                f"gaze on {gaze.shape[-1]}: collate the gaze on the grid of the attention's source"
            )
        patches = gaze.shape[-1]
        gaze = torch.where(rearrange(valid, "batch frame -> batch frame 1"), gaze, 1 / patches)
        of_heads = torch.where(
            rearrange(valid, "batch frame -> batch frame 1 1"), attention.log_probs, -math.log(patches)
        )
        attention = PatchAttention(of_heads.clamp_min(LEAST_LOG), attention.grid)
        if self.per_head:
            divergence = self.divergence(attention.log_probs, rearrange(gaze, "b t patch -> b t 1 patch")).mean(-1)
        else:
            divergence = self.divergence(attention.head_mean(), gaze)
        return torch.where(valid, divergence, 0.0), valid.sum().float()

    def loss(
        self,
        attention: Sequence[PatchAttention],
        gaze: Float[Tensor, "frame patch"],
        gaze_valid: Bool[Tensor, " frame"],
        step: int = 0,
    ) -> Float[Tensor, ""]:
        """Return λ · the mean divergence over the valid frames of a batch, to add to its cross-entropy.

        It is what `GazeVLM` trains on where the batch is an optimiser step by itself. Without a valid frame it is 0.

        Args:
            attention: of the batch, as `capture_attention` gives it: the frames of all its parts, one behind another.
            gaze: patch distributions of these frames, as `PatchTargets` makes them: a frame of fewer patches than the
                largest is filled with zeros.
            gaze_valid: whether each frame counts.
            step: of the optimiser, for a λ that warms up.

        Raises:
            InputError: attention and gaze are of other frames or grids, or nothing trainable lies below the attention.

        Example:
            >>> from gaze_vlm import Grid
            >>> attention = PatchAttention(torch.full((1, 2, 1, 4), 0.25).log(), Grid(2, 2))
            >>> gaze = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
            >>> with torch.no_grad():
            ...     GazeRegularizer(weight=0.5).loss([attention], gaze, torch.tensor([True, False]))
            tensor(2.4172)
        """
        shapes = [one.log_probs.shape[:2] for one in attention]
        counts = [shape.numel() for shape in shapes]
        patches = max((len(one.grid) for one in attention), default=0)
        if gaze.shape != (sum(counts), patches):
            raise InputError(
                f"attention is of {sum(counts)} frames of {patches} patches at most, gaze of {len(gaze)} frames of "
                f"{gaze.shape[1]}: make the targets of the same batch, and for the same tower"
            )
        parts = zip(attention, shapes, gaze.split(counts), gaze_valid.split(counts), strict=True)
        with torch.set_grad_enabled(self.is_active and torch.is_grad_enabled()):
            frames = [
                self(one, own[:, : len(one.grid)].unflatten(0, shape), valid.unflatten(0, shape))[0].flatten()
                for one, shape, own, valid in parts
            ]
            summed = torch.cat(frames).sum() if frames else gaze.sum()
            if self.is_active and torch.is_grad_enabled() and frames and not summed.requires_grad:
                raise InputError(NO_GRADIENT)
            return self.weight_at(step) * summed / gaze_valid.sum().clamp_min(1)

    def divergence(
        self, log_attention: Float[Tensor, "*#any patch"], gaze: Float[Tensor, "*#any patch"]
    ) -> Float[Tensor, "*any"]:
        """Compute the divergence of attention from gaze, by its direction and floor."""
        return gaze_divergence(log_attention, gaze, self.direction, self.floor)

    def weight_at(self, step: int) -> Tensor:
        """Return λ at a step of the optimiser."""
        if self.schedule == "warmup":
            return self.weight * min(1.0, (step + 1) / self.warmup_steps)
        return self.weight

    def calibrate(self, ratio: Tensor) -> None:
        """Move λ half-way (on the log scale) toward the weight of the target ratio."""
        if self.schedule == "calibrated" and ratio > 0 and torch.isfinite(ratio):
            self.weight.mul_((self.target_ratio / ratio).sqrt())
