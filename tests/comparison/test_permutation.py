import numpy as np
import pytest
from scipy.stats import permutation_test

from gaze_vlm.comparison.permutation import holm, paired_p, sign_flip_p


def of_scipy(totals):
    def total(values, axis):
        return values.sum(axis=axis)

    found = permutation_test((totals,), total, permutation_type="samples", vectorized=True, n_resamples=9999, rng=1)
    return found.pvalue


@pytest.mark.parametrize("sessions", [2, 6, 13])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_p_of_few_sessions_is_exact(sessions, shift):
    totals = np.random.default_rng(sessions).normal(size=sessions) + shift
    assert sign_flip_p(totals) == of_scipy(totals)


@pytest.mark.parametrize("sessions", [14, 60])
def test_p_of_many_sessions_is_drawn(sessions):
    totals = np.random.default_rng(sessions).normal(size=sessions) + 0.2
    assert sign_flip_p(totals) == pytest.approx(of_scipy(totals), abs=0.015)
    assert sign_flip_p(totals) == sign_flip_p(totals)


@pytest.mark.parametrize("sessions", [8, 40])
def test_no_difference_has_p_1_and_a_large_one_is_not_0(sessions):
    assert sign_flip_p(np.zeros(sessions)) == 1
    assert sign_flip_p(np.full(sessions, 0.1)) == pytest.approx(max(2 / 2**sessions, 1 / 10_000))


def test_totals_that_differ_by_rounding_alone_are_equal():
    totals = np.array([0.1, 0.2, -0.3, 0.1, 0.2, -0.3])  # the sum is 0 but for rounding
    assert sign_flip_p(totals) == 1


def test_sessions_are_flipped_whole_and_seeds_averaged():
    sessions = ["a"] * 3 + [*"bcdefgh"]
    random = np.random.default_rng(0)
    treatment, control = random.random((2, 2, 10))
    treatment[0, 4] = np.nan  # session c, which is left out
    difference = (treatment - control).mean(axis=0)
    totals = np.array([difference[:3].sum(), *difference[[3, 5, 6, 7, 8, 9]]])
    assert paired_p(treatment, control, sessions) == sign_flip_p(totals)
    assert np.isnan(paired_p(treatment[:, :7], control[:, :7], sessions[:7]))  # of 4 sessions


def test_size_under_no_difference():
    totals = np.random.default_rng(0).normal(size=(4000, 8))
    assert np.mean([sign_flip_p(one) <= 0.05 for one in totals]) == pytest.approx(12 / 256, abs=0.012)


def test_holm():
    # worked by hand: 0.01 × 4; max(0.04, 0.02 × 3); max(0.06, 0.03 × 2); 0.04 × 1 is less than 0.06
    assert holm([0.04, 0.01, float("nan"), 0.03, 0.02])[:2] == pytest.approx([0.06, 0.04])
    assert holm([0.04, 0.01, float("nan"), 0.03, 0.02])[3:] == pytest.approx([0.06, 0.06])
    assert np.isnan(holm([0.04, float("nan")])[1])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
