import numpy as np
import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.cli import main
from gaze_vlm.comparison.power import Variation, detectable, power_of, sessions_needed, variation
from gaze_vlm.comparison.statistics import cluster_t, crossed_t

FOUND = Variation(sessions=0.02, clips=0.3, seeds=0.0)


@pytest.mark.parametrize("sessions", [8, 30])
@pytest.mark.parametrize("difference", [0.0, 0.08, 0.15])
def test_the_chance_of_a_finding_is_that_of_a_simulation(sessions, difference):
    random = np.random.default_rng(sessions)
    clips = np.full((4000, sessions), 20)
    means = random.normal(difference, (FOUND.sessions + FOUND.clips / 20) ** 0.5, clips.shape)
    half = cluster_t(20 * means, clips, 0.95)
    share = (np.abs(means.mean(axis=1)) > half).mean()
    assert power_of(FOUND, clips[0], 3, 0.05, difference) == pytest.approx(share, abs=0.025)


@pytest.mark.parametrize(("seeds", "of_seeds"), [(3, 0.001), (3, 0.01), (6, 0.01)])
def test_seeds_that_differ_count_in_the_chance(seeds, of_seeds):
    random = np.random.default_rng(seeds)
    clips, difference = np.full((4000, 24), 20), 0.12
    of_session = random.normal(difference, (FOUND.sessions + FOUND.clips / 20) ** 0.5, (4000, 1, 24))
    means = of_session + random.normal(scale=of_seeds**0.5, size=(4000, seeds, 1))
    share = (np.abs(means.mean(axis=(1, 2))) > crossed_t(20 * means, clips, 0.95)).mean()
    found = Variation(FOUND.sessions, FOUND.clips, of_seeds)
    assert power_of(found, clips[0], seeds, 0.05, difference) == pytest.approx(share, abs=0.08)


def test_variances_are_found_again():
    random = np.random.default_rng(0)
    clips = random.integers(5, 40, 400)
    session = np.repeat(np.arange(400), clips)
    of_session = random.normal(scale=0.2, size=400)[session]
    values = of_session + random.normal(scale=0.5, size=(4, len(session))) + np.array([[0.3], [0.1], [-0.1], [-0.3]])
    found = variation(values, [f"s{one}" for one in session])
    assert found.sessions == pytest.approx(0.04, rel=0.2)
    assert found.clips == pytest.approx(0.25 / 4, rel=0.1)
    assert found.seeds == pytest.approx(np.var([0.3, 0.1, -0.1, -0.3], ddof=1), rel=0.1)


def test_what_is_shown_needs_just_that_many_sessions():
    clips = np.full(24, 20)
    least = detectable(FOUND, clips, 3, 0.05, 0.8)
    assert power_of(FOUND, clips, 3, 0.05, least) == pytest.approx(0.8, abs=1e-3)
    assert sessions_needed(FOUND, clips, 3, 0.05, 0.8, least + 1e-4) == 24
    few_seeds = Variation(0.02, 0.3, 0.001)  # with very many sessions their t is 4.3
    assert sessions_needed(few_seeds, clips, 3, 0.05, 0.8, 0.1) == pytest.approx(46, abs=3)
    assert power_of(few_seeds, clips, 3, 0.05, 0.1, 100_000 / 24) < 0.8
    assert sessions_needed(Variation(0.0, 0.3, 0.5), clips, 3, 0.05, 0.8, 0.01) is None  # seeds differ too much


def test_the_command(tmp_path, capsys):
    pilot = [
        str(write_run(tmp_path / f"{arm}{seed}", rows(answers(96, share, seed + 9 * len(arm))), arm, seed))
        for arm, share in (("control", 0.4), ("gaze", 0.6))
        for seed in (0, 1)
    ]
    assert main(["power", "--pilot", *pilot, "--points", "5", "20"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# Power: gaze against control, from 2 of each, for 3 seeds")
    assert said.count("\n| activity | Noun | ") == said.count("\n| future | Semantic | ") == 1
    assert "on the 24 test sessions (96 clips) of the pilot" in said
    assert main(["power", "--pilot", *pilot[:2]]) == 1
    assert "--pilot has runs of control: give those of 'control' and of one other arm" in capsys.readouterr().err


@pytest.mark.parametrize("gain", [0.1, 1 / 3])
def test_differences_that_are_all_alike_show_at_once(tmp_path, capsys, gain):
    pilot = []
    for arm, more in (("control", 0.0), ("gaze", gain)):
        for seed in (0, 1):
            of_arm = [row | {"semantic": 0.3 + 0.1 * seed + more} for row in rows(answers(48, 1, seed))]
            pilot.append(str(write_run(tmp_path / f"{arm}{seed}", of_arm, arm, seed)))
    assert main(["power", "--pilot", *pilot, "--points", "5"]) == 0
    assert "| activity | Semantic | 0.0 / 0.0 / 0.0 | 0.0 points | 6 (24) |" in capsys.readouterr().out


def test_runs_without_a_score_are_refused(tmp_path, capsys):
    scores = ("semantic", "noun", "noun_any", "noun_absent")
    without = [{name: value for name, value in row.items() if name not in scores} for row in rows(answers(48, 1, 0))]
    pilot = [str(write_run(tmp_path / arm, without, arm)) for arm in ("control", "gaze")]
    assert main(["power", "--pilot", *pilot]) == 1
    assert "no clip of both arms has a score out of noun and semantic: test the runs again" in capsys.readouterr().err
