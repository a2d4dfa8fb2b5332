"""How well a map of attention predicts gaze: the scores of the MIT/Tübingen saliency benchmark, on patch grids.

Definitions: Bylinskii et al. 2019, "What do different evaluation metrics tell us about saliency models?", TPAMI 41(3);
of the information gain: Kümmerer et al. 2015, PNAS 112(52). All functions take any leading axes, keep the precision
that they are given, and are compared with a plain version and with pysaliency in `tests/metrics/test_saliency.py`.

- `attention` and `gaze` are distributions over the patches of a frame, each summing to 1.
- `fixations` is the weight of the gaze points in each patch. A frame without any has NaN in what is asked of fixations.
- A map whose values differ by rounding alone is constant: it has the score of chance, never NaN.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ROUNDING = 1e-6  # of the largest value: what equal values may differ by
TOP = 10  # the paper's
MASS_INSIDE = 0.95  # of the gaze distribution, see `inside_gaze`


def correlation(attention: Float[Tensor, "*#any patch"], gaze: Float[Tensor, "*#any patch"]) -> Float[Tensor, "*any"]:
    """Compute CC, Pearson's correlation over the patches, in [-1, 1].

    0 where one of them is constant.
    """
    a, g = _centred(attention), _centred(gaze)
    spread = a.square().sum(-1).sqrt() * g.square().sum(-1).sqrt()
    return _quotient((a * g).sum(-1), spread)


def similarity(attention: Float[Tensor, "*#any patch"], gaze: Float[Tensor, "*#any patch"]) -> Float[Tensor, "*any"]:
    """Compute SIM, the mass that both share: Σ min(attention, gaze), in [0, 1]."""
    return torch.minimum(attention, gaze).sum(-1)


def scanpath_saliency(
    attention: Float[Tensor, "*#any patch"], fixations: Float[Tensor, "*#any patch"]
) -> Float[Tensor, "*any"]:
    """Compute NSS, the mean over fixations of standardised attention.

    Attention is in standard deviations above its mean, the population's over all patches. A constant map has 0.
    """
    deviation = _centred(attention)
    standard = _quotient(deviation, deviation.square().mean(-1, keepdim=True).sqrt())
    return _mean_over(fixations, standard)


def area_under_curve(
    attention: Float[Tensor, "*#any patch"],
    positives: Float[Tensor, "*#any patch"],
    negatives: Float[Tensor, "*#any patch"],
) -> Float[Tensor, "*any"]:
    """Compute the area under the ROC curve of attention as a classifier.

    Every value is a threshold. It is the chance that attention is higher at a positive than at a negative patch; a tie
    counts a half.

    Args:
        attention: the map.
        positives: weight of each patch as a positive.
        negatives: weight of each patch as a negative. NaN where either has no weight.
    """
    attention, positives, negatives = torch.broadcast_tensors(_levelled(attention), positives, negatives)
    values, order = attention.contiguous().sort(-1)
    below = torch.nn.functional.pad(negatives.gather(-1, order).cumsum(-1), (1, 0))  # weight of the lowest n
    first, behind = (torch.searchsorted(values, values, right=right) for right in (False, True))
    beaten = (below.gather(-1, first) + below.gather(-1, behind)) / 2
    return _mean_over(positives.gather(-1, order), beaten) / negatives.sum(-1)


def area_under_judds_curve(
    attention: Float[Tensor, "*#any patch"], fixations: Float[Tensor, "*#any patch"]
) -> Float[Tensor, "*any"]:
    """Compute AUC-Judd: positives are the fixations, negatives all patches without one.

    NaN also where every patch is fixated. Every value is a threshold. Judd's own curve has only those at fixations,
    which overestimates the area where they are few.
    """
    return area_under_curve(attention, fixations, (fixations == 0).to(fixations))


def information_gain(
    attention: Float[Tensor, "*#any patch"],
    prior: Float[Tensor, "*#any patch"],
    fixations: Float[Tensor, "*#any patch"],
    floor: float = 1e-3,
) -> Float[Tensor, "*any"]:
    """Compute how much better attention predicts fixations than a prior, in bits a fixation.

    It is the mean over fixations of log₂ A − log₂ B. The share ε (`floor`) of both is spread evenly over the patches:
    a patch without attention costs a finite number of bits.
    """
    gain = _floored(attention, floor).log2() - _floored(prior, floor).log2()
    return _mean_over(fixations, gain)


def top_overlap(
    attention: Float[Tensor, "*#any patch"], gaze: Float[Tensor, "*#any patch"], count: int = TOP
) -> Float[Tensor, "*any"]:
    """Compute the share of the most attended patches that lie inside gaze.

    The paper's is 42 → 68 %. Of patches that tie for the last places each counts as far as there are places: a constant
    map has the share of the grid that is inside. Where fewer than `count` patches are inside, the share stays below 1.
    """
    attention, inside = torch.broadcast_tensors(_levelled(attention), inside_gaze(gaze).to(attention))
    count = min(count, attention.shape[-1])
    last = attention.topk(count, dim=-1).values[..., -1:]
    above, tied = attention > last, attention == last
    places = count - above.sum(-1)
    hits = (inside * above).sum(-1) + places * (inside * tied).sum(-1) / tied.sum(-1)
    return hits / count


def inside_gaze(gaze: Float[Tensor, "*any patch"], mass: float = MASS_INSIDE) -> Bool[Tensor, "*any patch"]:
    """Return which patches are inside gaze: the fewest with so much of its mass.

    Patches that tie with the last of them are inside too.
    """
    values = gaze.sort(-1, descending=True).values
    needed = (values.cumsum(-1) < mass * values.sum(-1, keepdim=True)).sum(-1, keepdim=True)
    least = values.gather(-1, needed.clamp_max(gaze.shape[-1] - 1))
    return (gaze >= least) & (gaze > 0)


def _levelled(values: Float[Tensor, "*any patch"]) -> Float[Tensor, "*any patch"]:
    """The same, but exactly constant where values differ by rounding alone."""
    most, least = values.amax(-1, keepdim=True), values.amin(-1, keepdim=True)
    return torch.where(most - least <= ROUNDING * most.abs(), most, values)


def _centred(values: Float[Tensor, "*any patch"]) -> Float[Tensor, "*any patch"]:
    """Values minus their mean; exactly 0 where they are constant."""
    values = _levelled(values)
    constant = values.amax(-1, keepdim=True) == values.amin(-1, keepdim=True)
    return torch.where(constant, 0.0, values - values.mean(-1, keepdim=True))


def _mean_over(weights: Float[Tensor, "*#any patch"], values: Float[Tensor, "*#any patch"]) -> Float[Tensor, "*any"]:
    """The weighted mean over the patches; NaN without weight."""
    return (weights * values).sum(-1) / weights.sum(-1)


def _floored(distribution: Float[Tensor, "*any patch"], floor: float) -> Float[Tensor, "*any patch"]:
    return (1 - floor) * distribution + floor / distribution.shape[-1]


def _quotient(over: Tensor, under: Tensor) -> Tensor:
    """The quotient; 0 where it would be 0 / 0."""
    return torch.where(under == 0, 0.0, over / torch.where(under == 0, 1.0, under))
