import numpy as np
import pytest
from scipy.stats import t as student_t

from gaze_vlm.comparison.statistics import (
    LEAST_SEEDS,
    LEAST_SESSIONS,
    cluster_t,
    crossed_t,
    paired_interval,
    ratio_values,
    sd_over_seeds,
    seeds_interval,
    session_interval,
)

TRIALS = 4_000  # standard error of a coverage of 95 %: 0.34 points


def sizes(random: np.random.Generator, kind: str, sessions: int) -> np.ndarray:
    """Clips of each session [trial, session]: 20 each, or 4 to 60 with a mean of 20."""
    if kind == "equal":
        return np.full((TRIALS, sessions), 20)
    return np.clip(np.round(20 * np.exp(0.5 * random.normal(size=(TRIALS, sessions)) - 0.125)), 4, 60).astype(int)


def logistic(value):
    return 1 / (1 + np.exp(-value))


def normal_scores(random, clips):
    """A score of clips that differ within sessions and between them; its mean is 0."""
    return clips * random.normal(size=clips.shape) + np.sqrt(clips) * 2 * random.normal(size=clips.shape), 0.0


def noun_accuracy(random, clips):
    """Right or wrong, with sessions that differ: 30 % right in the mean."""
    session, many = random.normal(size=clips.shape) - 1, random.normal(size=1_000_000) - 1
    return random.binomial(clips, logistic(session)).astype(float), logistic(many).mean()


def paired_difference(random, clips):
    """Nouns right with gaze less those right without, three seeds; the gain differs between sessions."""

    def shares(shape):
        session, gain = random.normal(size=shape) - 1, 0.3 + 0.7 * random.normal(size=shape)
        return logistic(session + gain), logistic(session)

    with_gaze, without = shares(clips.shape)
    truth = np.subtract(*shares(1_000_000)).mean()
    return (random.binomial(3 * clips, with_gaze) - random.binomial(3 * clips, without)) / 3, truth


@pytest.mark.parametrize("scores", [normal_scores, noun_accuracy, paired_difference])
@pytest.mark.parametrize("kind", ["equal", "unequal"])
@pytest.mark.parametrize("sessions", [6, 7, 10, 20, 60])
def test_an_interval_of_95_percent_covers_in_93_to_97(scores, kind, sessions):
    random = np.random.default_rng(sessions)
    clips = sizes(random, kind, sessions)
    totals, truth = scores(random, clips)
    error = np.abs(totals.sum(axis=1) / clips.sum(axis=1) - truth)
    assert 0.93 <= (error <= cluster_t(totals, clips, 0.95)).mean() <= 0.97


def differences_of_seeds(random, clips, seeds, seeds_vary):
    """Nouns right with gaze less those right without, by seed: sessions differ in the gain, seeds in both arms."""

    def shares(of_seed, of_session, everywhere):
        session, gain = random.normal(size=of_session) - 1, 0.3 + 0.3 * random.normal(size=of_session)
        arms = session + gain, session
        return [logistic(arm + seeds_vary * random.normal(size=of_seed) + np.zeros(everywhere)) for arm in arms]

    trials, sessions = clips.shape
    treated, control = shares((trials, seeds, 1), (trials, 1, sessions), (trials, seeds, sessions))
    truth = np.subtract(*shares(1_000_000, 1_000_000, 1_000_000)).mean()
    return random.binomial(clips[:, None], treated) - random.binomial(clips[:, None], control), truth


@pytest.mark.parametrize("seeds_vary", [0.15, 0.5])
@pytest.mark.parametrize("kind", ["equal", "unequal"])
@pytest.mark.parametrize(("seeds", "sessions"), [(3, 6), (3, 60), (6, 20)])
def test_an_interval_for_other_seeds_covers_where_that_of_sessions_does_not(seeds, sessions, kind, seeds_vary):
    random = np.random.default_rng(seeds)
    clips = sizes(random, kind, sessions)[: TRIALS // 2]
    totals, truth = differences_of_seeds(random, clips, seeds, seeds_vary)
    error = np.abs(totals.mean(axis=1).sum(axis=1) / clips.sum(axis=1) - truth)
    of_both = (error <= crossed_t(totals.astype(float), clips, 0.95)).mean()
    assert of_both >= 0.91
    if seeds_vary == 0.5:
        assert (error <= cluster_t(totals.mean(axis=1), clips, 0.95)).mean() < 0.88 < of_both


def test_the_interval_for_other_seeds_adds_both_variances():
    random = np.random.default_rng(4)
    values, sessions = random.normal(size=(4, 70)), [f"s{clip // 10}" for clip in range(70)]
    got, of_sessions = seeds_interval(values, sessions), session_interval(values, sessions)
    error = (of_sessions.high - of_sessions.mean) / student_t.ppf(0.975, 6)
    of_seeds = values.mean(axis=1).var(ddof=1) / 4
    freedom = (error**2 + of_seeds) ** 2 / (error**4 / 6 + of_seeds**2 / 3)
    half = student_t.ppf(0.975, freedom) * np.sqrt(error**2 + of_seeds)
    assert (got.low, got.mean, got.high) == pytest.approx((values.mean() - half, values.mean(), values.mean() + half))
    alike = seeds_interval(np.full((3, 12), 0.25), list("abcdef") * 2)
    assert (alike.low, alike.mean, alike.high) == (0.25, 0.25, 0.25)


def test_it_is_never_narrower_than_that_of_the_sessions():
    random = np.random.default_rng(6)
    sessions = [f"s{i}" for i, clips in enumerate([100, 5, 5, 5, 5, 5]) for _ in range(clips)]
    for _ in range(50):
        values = random.normal(size=(6, 1)) * random.uniform(0, 0.2) + random.normal(size=(6, len(sessions)))
        of_seeds, of_sessions = seeds_interval(values, sessions), session_interval(values, sessions)
        assert of_seeds.low <= of_sessions.low
        assert of_sessions.high <= of_seeds.high


def test_too_few_seeds_or_sessions_say_nothing_of_other_seeds():
    values = np.random.default_rng(5).normal(size=(LEAST_SEEDS, 4 * LEAST_SESSIONS))
    sessions = [str(clip % LEAST_SESSIONS) for clip in range(values.shape[1])]
    for few, of in ((values[1:], sessions), (values[:, : LEAST_SESSIONS - 1], sessions[: LEAST_SESSIONS - 1])):
        got = seeds_interval(few, of)
        assert got.mean == pytest.approx(few.mean())
        assert np.isnan([got.low, got.high]).all()
    assert seeds_interval(values, sessions).low < values.mean()
    assert np.isnan(seeds_interval(np.full((3, 2), np.nan), ["a", "b"]).mean)


def test_clips_are_not_independent():
    """So sessions are the units: with each clip as its own, the interval covers far too rarely."""
    random = np.random.default_rng(0)
    values = random.normal(size=(TRIALS // 4, 50, 1)) + random.normal(size=(TRIALS // 4, 50, 6))
    mean = np.abs(values.mean(axis=(1, 2)))
    by_session = cluster_t(values.sum(axis=2), np.full(values.shape[:2], 6), 0.95)
    by_clip = cluster_t(values.reshape(len(values), -1), np.ones((len(values), 300), dtype=int), 0.95)
    assert (mean <= by_clip).mean() < 0.80 < 0.93 <= (mean <= by_session).mean()


def test_the_variance_is_that_of_leaving_out_each_session():
    random = np.random.default_rng(3)
    sessions = np.repeat([f"s{i:02d}" for i in range(12)], random.integers(1, 9, 12))
    values = random.normal(size=(2, len(sessions)))
    got = session_interval(values, list(sessions))
    without = np.array([values[:, sessions != name].mean() for name in np.unique(sessions)])
    error = np.sqrt(((without - values.mean()) ** 2).sum())

    # Bell and McCaffrey's degrees of freedom, from the matrices of their definition.
    member = (sessions[:, None] == np.unique(sessions)).astype(float)
    clips = len(sessions)
    residual = np.eye(clips) - 1 / clips
    columns = []
    for one in member.T:
        block = residual[np.ix_(one > 0, one > 0)]
        value, vector = np.linalg.eigh(block)
        root = vector @ np.diag(value**-0.5) @ vector.T
        columns.append(residual[:, one > 0] @ root @ np.ones(int(one.sum())))
    gram = np.stack(columns) @ np.stack(columns).T
    freedom = np.trace(gram) ** 2 / (gram**2).sum()
    assert freedom < 11
    half = student_t.ppf(0.975, freedom) * error
    assert (got.low, got.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert (got.clips, got.sessions) == (len(sessions), 12)


def test_equal_sessions_have_a_degree_of_freedom_less_than_sessions():
    values = np.array([[1.0, 2.0, 4.0, 4.5, 7.0, 9.0, 9.5]]).repeat(3, axis=1)
    got = session_interval(values, [f"{clip // 3}" for clip in range(21)])
    half = student_t.ppf(0.975, 6) * values[0, ::3].std(ddof=1) / np.sqrt(7) * np.sqrt(7 / 6)  # the jackknife's factor
    assert (got.low, got.high) == pytest.approx((got.mean - half, got.mean + half))


def test_pairing_removes_what_both_arms_share():
    random = np.random.default_rng(2)
    control = random.normal(size=(2, 40))
    sessions = [str(clip // 4) for clip in range(40)]
    estimate = paired_interval(control + 0.25, control, sessions)
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((0.25, 0.25, 0.25))


def test_clips_without_a_value_in_some_seed_are_left_out():
    values = np.array([[1.0, 2.0, np.nan, 4.0], [1.0, np.nan, 3.0, 6.0]])
    estimate = session_interval(values, ["a", "b", "c", "d"])
    assert (estimate.mean, estimate.clips, estimate.sessions) == (3.0, 2, 2)


@pytest.mark.parametrize("sessions", [1, 2, LEAST_SESSIONS - 1])
def test_too_few_sessions_have_no_interval(sessions):
    estimate = session_interval(np.arange(20.0)[None], [str(clip % sessions) for clip in range(20)])
    assert estimate.mean == 9.5
    assert np.isnan([estimate.low, estimate.high]).all()
    enough = session_interval(np.arange(20.0)[None], [str(clip % LEAST_SESSIONS) for clip in range(20)])
    assert enough.low < 9.5 < enough.high


@pytest.mark.usefixtures("unchecked_shapes")
def test_edges():
    none = session_interval(np.full((1, 2), np.nan), ["a", "b"])
    assert np.isnan(none.mean)
    assert none.clips == 0
    with pytest.raises(ValueError, match=r"give \[seed, clip\]"):
        session_interval(np.zeros((1, 3)), ["a"])
    with pytest.raises(ValueError, match="pair seeds and clips"):
        paired_interval(np.zeros((1, 3)), np.zeros((2, 3)), ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"give 0\.95"):
        session_interval(np.zeros((1, 1)), ["a"], level=95)


def test_sd_over_seeds():
    assert sd_over_seeds(np.array([[1.0, 3.0], [2.0, 6.0]])) == pytest.approx(np.std([2, 4], ddof=1))
    assert np.isnan(sd_over_seeds(np.ones((1, 4))))


def test_a_ratio_of_sums_is_the_mean_of_its_values():
    nan = np.nan
    weights = np.array([[2, 0, 1, nan], [0, 0, 0, nan]], dtype=float)
    values = np.array([[0.5, nan, 1, nan], [nan, nan, nan, nan]])
    of_one, of_none = ratio_values(values, weights)
    assert of_one[:3].mean() == pytest.approx((2 * 0.5 + 1 * 1) / 3)
    assert np.isnan(of_one[3])
    assert np.isnan(of_none).all()
    equal = np.random.default_rng(0).random((2, 9))
    assert ratio_values(equal, np.full((2, 9), 3.0)) == pytest.approx(equal)


def test_the_interval_of_a_ratio_is_that_of_the_jackknife_over_sessions():
    random = np.random.default_rng(1)
    named = random.integers(0, 4, (1, 600)).astype(float)
    absent = random.binomial(named.astype(int), 0.3)
    shares = np.divide(absent, named, out=np.full(named.shape, np.nan), where=named > 0)
    sessions = np.repeat([f"s{i:02}" for i in range(60)], 10)
    interval = session_interval(ratio_values(shares, named), list(sessions))
    left_out = [absent[0, sessions != one].sum() / named[0, sessions != one].sum() for one in np.unique(sessions)]
    error = np.sqrt(59 / 60 * np.square(np.array(left_out) - np.mean(left_out)).sum())
    assert interval.mean == pytest.approx(absent.sum() / named.sum())
    assert (interval.high - interval.low) / 2 == pytest.approx(student_t.ppf(0.975, 59) * error, rel=0.02)
