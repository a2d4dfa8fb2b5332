"""A batch's attention against its gaze: which frames count in which score, for samples and for heads."""

import pytest
import torch

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.datamodules.gaze_sources import centre_prior
from gaze_vlm.gaze.mixture import GazeMixture, average_groups
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.metrics.attention_scores import AttentionScorer
from gaze_vlm.metrics.saliency import (
    area_under_curve,
    area_under_judds_curve,
    correlation,
    information_gain,
    scanpath_saliency,
    similarity,
    top_overlap,
)
from gaze_vlm.metrics.scores import SCORES

GRID, VIEW, LEAST, FLOOR = Grid(3, 4), View(0.0, 0.0, 0.8, 1.0), 0.5, 1e-3
OF_ATTENTION = {name for name in SCORES if name.startswith("attention_")}
OF_FIXATIONS = {f"attention_{name}" for name in ("nss", "auc", "shuffled_auc", "information_gain")}
NOWHERE = (-9.0, -9.0)


def clip(session: str, *frames: list[tuple[float, float]]) -> Clip:
    """A clip of so many frames, with the gaze points of each; NOWHERE is one that does not count."""
    points = max(map(len, frames))
    xy = torch.tensor([frame + [NOWHERE] * (points - len(frame)) for frame in frames])
    mixture = GazeMixture(xy, (xy[..., 0] != NOWHERE[0]).float(), 0.05, 4 / 3)
    return Clip("c", "v", session, "activity", None, [1.0] * len(frames), mixture, "?", "a", None, None, False, 1.0)


def batch_of(clips: list[Clip], group: int = 1) -> Batch:
    mixture = GazeMixture.stack([one.gaze for one in clips])
    gaze, valid = average_groups(*mixture.on(GRID, VIEW, LEAST), group)
    return Batch({}, {}, {}, None, gaze, valid, clips, torch.tensor(0.0))


def attention_to(batch: Batch, heads: int = 2, seed: int = 0) -> PatchAttention:
    shape = (*batch.valid.shape, heads, len(GRID))
    return PatchAttention(torch.randn(shape, generator=torch.Generator().manual_seed(seed)).log_softmax(-1), GRID)


CLIPS = [
    clip("a", [(0.1, 0.1), (0.1, 0.12), (0.5, 0.5)], [(0.7, 0.9)]),
    clip("b", [(0.3, 0.8)], [NOWHERE]),
    clip("c", [NOWHERE], [(0.95, 0.5)]),  # untracked, and out of view
    clip("b", [(0.81, 0.5), (0.7, 0.5)], [(0.805, 0.2)]),  # the last: mass in view, and no point
]
FIXATIONS = {"a": torch.eye(12)[0] + torch.eye(12)[5] + 2 * torch.eye(12)[11], "b": torch.eye(12)[9]}


def scorer(fixations: dict[str, torch.Tensor] | None = FIXATIONS, least: float = LEAST) -> AttentionScorer:
    return AttentionScorer(VIEW, least, FLOOR, fixations)


def test_a_sample_is_the_mean_of_its_frames() -> None:
    batch = batch_of(CLIPS[:1])
    attention = attention_to(batch)
    scores = scorer()(attention, batch)[0]
    a, gaze = attention.log_probs[0].exp().mean(1), batch.gaze[0]
    fixations = torch.zeros(2, 12)
    fixations[0, 0], fixations[0, 6], fixations[1, 11] = 2, 1, 1  # 0.1, 0.5 and 0.7 of a view that is 0.8 wide
    prior = centre_prior(1, 4 / 3).on(GRID, VIEW, LEAST)[0]
    expected = {
        "attention_cc": correlation(a, gaze),
        "attention_sim": similarity(a, gaze),
        "attention_nss": scanpath_saliency(a, fixations),
        "attention_auc": area_under_judds_curve(a, fixations),
        "attention_shuffled_auc": area_under_curve(a, fixations, FIXATIONS["b"]),
        "attention_information_gain": information_gain(a, prior, fixations, FLOOR),
        "attention_top10": top_overlap(a, gaze),
        "attention_kl": (a * (a / (0.999 * gaze + 0.001 / 12)).log()).sum(-1),
        "attention_reverse_kl": ((0.999 * gaze + 0.001 / 12) * ((0.999 * gaze + 0.001 / 12) / a).log()).sum(-1),
    }
    assert scores == pytest.approx({name: float(frames.mean()) for name, frames in expected.items()}, rel=1e-4)
    assert scores.keys() == OF_ATTENTION


def test_frames_and_samples_without_gaze_are_left_out() -> None:
    batch = batch_of(CLIPS)
    assert batch.valid.tolist() == [[True, True], [True, False], [False, False], [True, False]]
    scores = scorer()(attention_to(batch), batch)
    alone = batch_of([clip("b", [(0.3, 0.8)])])
    attention = PatchAttention(attention_to(batch).log_probs[1:2, :1], GRID)
    assert scores[1] == pytest.approx(scorer()(attention, alone)[0])
    assert scores[2] == {}


def test_mass_in_view_without_a_point_in_view_has_the_scores_of_distributions_alone() -> None:
    batch = batch_of([clip("a", [(0.805, 0.2)])])
    batch.valid[:] = True  # as with a lower `min_mass_in_view`
    scores = scorer(least=0.1)(attention_to(batch), batch)[0]
    assert scores.keys() == OF_ATTENTION - OF_FIXATIONS


@pytest.mark.parametrize("fixations", [None, {"a": torch.ones(12)}])
def test_without_another_session_there_is_no_shuffled_auc(fixations: dict[str, torch.Tensor] | None) -> None:
    batch = batch_of(CLIPS[:1])
    scores = scorer(fixations)(attention_to(batch), batch)[0]
    assert scores.keys() == OF_ATTENTION - {"attention_shuffled_auc"}


def test_the_frames_of_a_group_share_their_fixations() -> None:
    single = batch_of([clip("a", [(0.1, 0.1), (0.5, 0.5)])])
    group = batch_of([clip("a", [(0.1, 0.1)], [(0.5, 0.5)])], 2)
    attention = attention_to(single)
    of_single, of_group = (scorer()(attention, batch)[0] for batch in (single, group))
    assert {name: of_single[name] for name in OF_FIXATIONS} == {name: of_group[name] for name in OF_FIXATIONS}


def test_batches_change_nothing() -> None:
    whole = batch_of(CLIPS)
    attention = attention_to(whole, heads=40)  # more than are taken at once
    together, one_by_one = scorer(), scorer()
    scores = together(attention, whole)
    for index, one in enumerate(CLIPS):
        part = PatchAttention(attention.log_probs[index : index + 1], GRID)
        assert one_by_one(part, batch_of([one]))[0] == pytest.approx(scores[index], rel=1e-5)
    assert together.heads is not None
    assert one_by_one.heads is not None
    assert torch.allclose(together.heads.sums, one_by_one.heads.sums, rtol=1e-5)
    assert together.heads.frames.tolist() == one_by_one.heads.frames.tolist() == [4, 4, 4]


def test_a_head_has_what_it_would_have_alone() -> None:
    batch = batch_of(CLIPS)
    attention = attention_to(batch, heads=3)
    together = scorer()
    together(attention, batch)
    assert together.heads is not None
    for head in range(3):
        alone = scorer()
        samples = alone(PatchAttention(attention.log_probs[:, :, head : head + 1], GRID), batch)
        assert alone.heads is not None
        assert alone.heads.sums[:, 0].tolist() == pytest.approx(together.heads.sums[:, head].tolist())
        frames = batch.valid.sum(1).tolist()
        kl = sum(count * one["attention_kl"] for count, one in zip(frames, samples, strict=True) if count)
        assert float(alone.heads.sums[0, 0]) == pytest.approx(kl, rel=1e-5)
