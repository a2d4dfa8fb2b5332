import numpy as np
import pytest

from gaze_vlm.comparison.statistics import paired_bootstrap, sd_over_seeds, session_bootstrap


def test_bootstrap_agrees_with_drawing_clips_one_by_one():
    random = np.random.default_rng(3)
    sessions = np.repeat([f"s{i}" for i in range(12)], random.integers(1, 9, 12))
    values = (
        random.normal(size=(2, len(sessions))) + random.normal(size=12)[np.unique(sessions, return_inverse=True)[1]]
    )
    got = session_bootstrap(values, list(sessions), resamples=20_000)

    names = np.unique(sessions)
    drawn = []
    for _ in range(4_000):
        clips = np.concatenate([np.flatnonzero(sessions == name) for name in random.choice(names, len(names))])
        drawn.append(values[:, clips].mean())
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert got.mean == pytest.approx(values.mean())
    assert got.low == pytest.approx(low, abs=0.05 * (high - low))
    assert got.high == pytest.approx(high, abs=0.05 * (high - low))
    assert (got.clips, got.sessions) == (len(sessions), 12)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    sessions = [f"s{clip // 6}" for clip in range(300)]
    by_clip = by_session = 0
    for trial in range(200):
        values = (random.normal(size=(1, 50)).repeat(6, axis=1) + random.normal(size=(1, 300))) + 1.0
        estimate = session_bootstrap(values, sessions, resamples=400, seed=trial)
        by_session += estimate.low <= 1 <= estimate.high
        naive = session_bootstrap(values, [str(clip) for clip in range(300)], resamples=400, seed=trial)
        by_clip += naive.low <= 1 <= naive.high
    assert 0.90 <= by_session / 200 <= 0.98
    assert by_clip / 200 < 0.80  # which is why sessions are drawn, not clips


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).normal(size=(1, 40))
    sessions = [str(clip // 4) for clip in range(40)]
    assert session_bootstrap(values, sessions) == session_bootstrap(values, sessions)


def test_pairing_removes_what_both_arms_share():
    random = np.random.default_rng(2)
    control = random.normal(size=(2, 40))
    sessions = [str(clip // 4) for clip in range(40)]
    estimate = paired_bootstrap(control + 0.25, control, sessions)
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.25, 0.25, 0.25))


def test_clips_without_a_value_in_some_seed_are_left_out():
    values = np.array([[1.0, 2.0, np.nan, 4.0], [1.0, np.nan, 3.0, 6.0]])
    estimate = session_bootstrap(values, ["a", "b", "c", "d"])
    assert (estimate.mean, estimate.clips, estimate.sessions) == (3.0, 2, 2)


def test_edges():
    one = session_bootstrap(np.array([[1.0, 3.0]]), ["a", "a"])
    assert one.mean == 2
    assert np.isnan([one.low, one.high]).all()
    none = session_bootstrap(np.full((1, 2), np.nan), ["a", "b"])
    assert np.isnan(none.mean)
    assert none.clips == 0
    with pytest.raises(ValueError, match=r"give \[seed, clip\]"):
        session_bootstrap(np.zeros((1, 3)), ["a"])
    with pytest.raises(ValueError, match="pair seeds and clips"):
        paired_bootstrap(np.zeros((1, 3)), np.zeros((2, 3)), ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"give 0\.95"):
        session_bootstrap(np.zeros((1, 1)), ["a"], level=95)


def test_sd_over_seeds():
    assert sd_over_seeds(np.array([[1.0, 3.0], [2.0, 6.0]])) == pytest.approx(np.std([2, 4], ddof=1))
    assert np.isnan(sd_over_seeds(np.ones((1, 4))))
