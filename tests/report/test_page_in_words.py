"""The page's sentences are of the arms that were compared, and of the tasks and scores that are there."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fake_runs import answers, rows, write_run
from gaze_vlm.cli import main
from html_checks import Page

Rows = list[dict]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a comparison's page of what its runs left, and returns its text."""
    monkeypatch.chdir(tmp_path)

    def written(**config: object) -> str:
        arms = [path.name for path in sorted(Path("runs").iterdir())]
        asked = {"dataset": "kitchen", "backbone": "tiny-llava", "runs": "runs", "arms": arms, "control": "control"}
        asked |= {"seeds": [0]} | config
        for arm in asked["arms"]:
            Path(f"{arm}.yaml").write_text("# arm\n")
        asked["arms"] = {arm: f"{arm}.yaml" for arm in asked["arms"]}
        Path("compare.yaml").write_text(yaml.safe_dump(asked))
        assert main(["report", "--config=compare.yaml", "--output=page.html", "--count=0"]) == 0
        return " ".join(" ".join(data for _, data in Page(Path("page.html").read_text()).texts).split())

    return written


def run_of(arm: str, share: float, weight: float, change: Callable[[Rows], Rows] = list, seed: int = 0) -> None:
    write_run(Path(f"runs/{arm}/seed{seed}"), change(rows(answers(40, share, seed), kl=1.0)), arm, seed, weight=weight)


def future_alone(of_arm: Rows) -> Rows:
    return [row for row in of_arm if row["task"] == "future"]


def nouns_of_the_future_alone(of_arm: Rows) -> Rows:
    named = ("noun", "noun_any", "noun_absent")
    return [{k: v for k, v in row.items() if k not in named or row["task"] == "future"} for row in of_arm]


@pytest.mark.parametrize("change", [future_alone, nouns_of_the_future_alone])
def test_a_task_without_the_score_is_left_out(page: Callable[..., str], change: Callable[[Rows], Rows]) -> None:
    run_of("control", 0.3, 0.0, change)
    run_of("gaze", 0.9, 1.0, change)
    said = page()
    assert "Training with gaze helped" in said
    assert "40 test clips of 10 sessions" in said
    assert "The action that comes next. After training with gaze, the model names" in said
    chart = "The action that comes next"
    assert f"In brackets: 95 % intervals for other sessions, with this one seed. {chart}" in said


def test_the_treatment_is_compared_with_its_own_control(page: Callable[..., str]) -> None:
    run_of("baseline", 0.5, 0.0)
    run_of("control", 0.1, 0.0)
    run_of("language", 0.9, 1.0)
    said = page(baseline="baseline", controls={"language": "baseline"})
    right = 100 * answers(40, 0.5, 0)[0].mean()
    assert f"Its control, baseline: {right:.1f} %" in said
    assert "The arm language helped" in said
    assert "In the arm language, the model names the right object in" in said
    assert "Square, dashed line: its control, baseline." in said
    assert "The plain model" not in said  # which is the control


def test_no_arm_stands_for_a_gaze_that_failed(page: Callable[..., str]) -> None:
    run_of("control", 0.5, 0.0)
    run_of("shuffled", 0.1, 1.0)
    said = page(arms=["control", "gaze", "shuffled"])
    assert "No comparison yet" in said
    assert "None" not in said
    assert "The arm shuffled did harm" in page()


def test_three_seeds_have_intervals_for_others(page: Callable[..., str]) -> None:
    for seed, share in enumerate((0.5, 0.7, 0.9)):
        run_of("control", 0.4, 0.0, seed=seed)
        run_of("gaze", share, 1.0, seed=seed)
    said = page(seeds=[0, 1, 2])
    assert "Training with gaze helped with these seeds; others may differ" in said
    assert "95 % intervals for other sessions; for other seeds too, where both arms have 3 seeds or more." in said
    assert " with other seeds [-" in said


def test_arms_without_a_seed_in_common_have_no_difference(page: Callable[..., str]) -> None:
    run_of("control", 0.5, 0.0, seed=0)
    run_of("gaze", 0.7, 1.0, seed=1)
    said = page(seeds=[0, 1])
    assert "No comparison yet" in said
    assert "nan" not in said


def test_arms_that_see_gaze_are_named(page: Callable[..., str]) -> None:
    run_of("control", 0.5, 0.0)
    run_of("gaze", 0.7, 1.0)
    assert "Gaze is used in training alone: no model sees it when it answers." in page()
    run_of("gaze-drawn", 0.9, 0.0)
    facts = Path("runs/gaze-drawn/seed0/run.json")
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"sees_gaze_at_test": True}))
    said = page()
    assert "When it answers, no model sees gaze but those of gaze-drawn (†)." in said
    assert "Gaze is used in training alone" not in said
