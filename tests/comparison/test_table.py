import csv
import math
from dataclasses import replace

import numpy as np
import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.cell_tables import sections_of
from gaze_vlm.comparison.curve import curve_figure, curve_points, write_curve_csv
from gaze_vlm.comparison.latex import OTHER_SEEDS, latex_tables
from gaze_vlm.comparison.markdown import comparison_page, headline_metric
from gaze_vlm.comparison.permutation import holm, paired_p
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.comparison.statistics import paired_interval, seeds_interval
from gaze_vlm.comparison.table import build_table

COLUMNS = (
    "backbone,arm,task,dataset,trained_on,metric,seeds,mean,sd,control,diff,diff_low,diff_high,diff_seeds_low,diff_seeds_high,diff_sd,p,p_holm,"
    "baseline_diff,baseline_low,baseline_high,baseline_seeds_low,baseline_seeds_high,baseline_sd,baseline_p,baseline_p_holm,clips,published,published_on"
)
CLIPS = 48


@pytest.fixture
def right():
    """[task, clip] of right answers for every arm and seed."""
    shares = {"baseline": 0.4, "control": 0.5, "gaze": 0.7}
    return {(arm, seed): answers(CLIPS, shares[arm], seed * 10 + len(arm)) for arm in shares for seed in (0, 1)}


@pytest.fixture
def runs(tmp_path, right):
    made = []
    for (arm, seed), of_run in right.items():
        weight = {"baseline": None, "control": 0.0, "gaze": 1.0}[arm]
        kl = {"baseline": None, "control": 2.5, "gaze": 1.5}[arm]
        made.append(read_run(write_run(tmp_path / arm / str(seed), rows(of_run, kl), arm, seed, weight=weight)))
    return made


def test_csv_holds_the_worked_out_numbers(tmp_path, runs, right):
    table = build_table(runs, "control", reach_s=0.8)
    table.write_csv(tmp_path / "table.csv")
    text = (tmp_path / "table.csv").read_text()
    assert text.splitlines()[0] == COLUMNS
    lines = list(csv.DictReader(text.splitlines()))

    def line(arm, task, metric):
        found = [x for x in lines if (x["arm"], x["task"], x["metric"]) == (arm, task, metric)]
        assert len(found) == 1
        return found[0]

    gaze = line("gaze", "activity", "noun")
    seeds = np.array([right["gaze", seed][0].mean() for seed in (0, 1)])
    assert (gaze["seeds"], gaze["clips"], gaze["dataset"], gaze["backbone"]) == (
        "2",
        "48",
        "kitchen",
        "tiny-llava",
    )
    assert float(gaze["mean"]) == pytest.approx(100 * seeds.mean(), abs=1e-3)
    assert float(gaze["sd"]) == pytest.approx(100 * seeds.std(ddof=1), abs=1e-3)
    arms = [np.stack([right[arm, seed][0] for seed in (0, 1)]).astype(float) for arm in ("gaze", "control")]
    expected = paired_interval(*arms, [f"P{clip // 4:02d}" for clip in range(CLIPS)])
    got = [float(gaze[name]) for name in ("diff", "diff_low", "diff_high", "diff_sd")]
    sd = (arms[0] - arms[1]).mean(axis=1).std(ddof=1)
    assert got == pytest.approx([100 * x for x in (expected.mean, expected.low, expected.high, sd)], abs=1e-3)

    same = line("gaze", "future/same", "exact_match")
    assert same["clips"] == "16"
    assert float(same["mean"]) == pytest.approx(
        100 * np.mean([right["gaze", seed][1, ::3] for seed in (0, 1)]), abs=1e-3
    )
    control = line("control", "future", "noun")
    assert [control[name] for name in ("diff", "diff_low", "diff_high")] == ["", "", ""]
    kl = line("gaze", "future", "attention_kl")
    assert (float(kl["mean"]), float(kl["diff"])) == pytest.approx((1.5, -1.0))
    assert not [x for x in lines if x["arm"] == "baseline" and x["metric"] == "attention_kl"]
    assert {x["task"] for x in lines} == {
        "activity",
        "future",
        "future/same",
        "future/reach",
        "future/unseen",
    }


def test_p_values_are_those_of_the_sessions_corrected_over_the_arms(runs, right):
    table = build_table(runs, "control", 0.8, baseline="baseline", controls={"gaze": "baseline"})
    rows = {arm: of["noun"] for arm, of in table.of("kitchen", "tiny-llava", "activity").items()}
    assert {arm: row.control for arm, row in rows.items()} == {"baseline": "control", "control": "", "gaze": "baseline"}
    sessions = [f"P{clip // 4:02d}" for clip in range(CLIPS)]
    matrix = {arm: np.stack([right[arm, seed][0] for seed in (0, 1)]).astype(float) for arm in rows}
    p = {arm: paired_p(matrix[arm], matrix[row.control], sessions) for arm, row in rows.items() if row.control}
    assert {arm: row.p for arm, row in rows.items() if row.control} == p
    assert [rows["baseline"].p_holm, rows["gaze"].p_holm] == holm([p["baseline"], p["gaze"]])
    assert (rows["gaze"].baseline_diff, rows["gaze"].baseline_p) == (rows["gaze"].diff, rows["gaze"].p)
    assert math.isnan(rows["baseline"].baseline_p_holm)
    page = comparison_page(table, runs, 0.8, "x", "y")
    assert page.count("| Noun vs control [95 % interval], p (Holm) | Noun vs baseline [95 % interval], p (Holm) |") == 5
    assert "(vs baseline) |" in page
    assert "| KL vs control [95 % interval], p (Holm) |" in page
    assert "KL vs baseline" not in page  # it has no attention


def test_three_seeds_say_what_others_may_give(tmp_path):
    runs = []
    for seed in range(3):
        for arm, share in (("control", 0.5), ("gaze", (0.5, 0.7, 0.9)[seed])):
            path = tmp_path / arm / str(seed)
            runs.append(read_run(write_run(path, rows(answers(CLIPS, share, seed)), arm, seed, weight=1.0)))
    table = build_table(runs, "control", 0.8, baseline="control")
    row = table.of("kitchen", "tiny-llava", "activity")["gaze"]["noun"]
    values = np.stack([answers(CLIPS, share, seed)[0] for seed, share in enumerate((0.5, 0.7, 0.9))]).astype(float)
    values -= np.stack([answers(CLIPS, 0.5, seed)[0] for seed in range(3)])
    expected = seeds_interval(values, [f"P{clip // 4:02d}" for clip in range(CLIPS)])
    assert (row.diff_seeds_low, row.diff_seeds_high) == pytest.approx((100 * expected.low, 100 * expected.high))
    assert (row.baseline_seeds_low, row.baseline_seeds_high) == (row.diff_seeds_low, row.diff_seeds_high)
    assert row.diff_seeds_low < 0 < row.diff_low
    assert row.difference.interval == (row.diff_seeds_low, row.diff_seeds_high)
    assert not row.difference.is_sure
    page = comparison_page(table, runs, 0.8, "x", "y")
    assert f", p < 0.001; with other seeds [{row.diff_seeds_low:+.1f}, {row.diff_seeds_high:+.1f}] |" in page
    assert OTHER_SEEDS in latex_tables(table, sections_of(runs), 0.8, "x")


def test_every_figure_has_its_runs_and_what_they_cost(tmp_path, runs):
    dear = [replace(run, train_seconds=60.0 + run.seed, parameters=1_000_000, device="A100") for run in runs]
    table = build_table(runs, "control", 0.8)
    page = comparison_page(
        table, [run for run in dear if run.arm != "control"], 0.8, "x", "y", folder=tmp_path / "results"
    )
    links = "[seed 0](../gaze/0) ([answers](../gaze/0/predictions.jsonl)), [seed 1](../gaze/1) "
    assert f"| gaze | {links}" in page
    assert "| gaze | 0:01:00 | — | 1,000,000 | — | A100 |" in page
    assert "Train time" not in comparison_page(table, runs, 0.8, "x", "y")


def test_without_a_shared_seed_there_is_no_difference(runs):
    chosen = [run for run in runs if (run.arm, run.seed) in {("control", 0), ("gaze", 1)}]
    gaze = build_table(chosen, "control", reach_s=0.8).of("kitchen", "tiny-llava", "activity")["gaze"]["noun"]
    assert math.isnan(gaze.diff)
    assert math.isnan(gaze.sd)


def test_backbones_are_compared_with_their_own_control(tmp_path, runs):
    other = write_run(tmp_path / "other", rows(answers(CLIPS, 0.9, 5)), "gaze")
    about = other / "run.json"
    about.write_text(about.read_text().replace("tiny-llava", "tiny-qwen"))
    table = build_table([*runs, read_run(other)], "control", reach_s=0.8)
    assert math.isnan(table.of("kitchen", "tiny-qwen", "activity")["gaze"]["noun"].diff)
    assert not math.isnan(table.of("kitchen", "tiny-llava", "activity")["gaze"]["noun"].diff)


def test_markdown_shows_every_task_its_arms_and_the_oracles(runs):
    table = build_table(runs, "control", reach_s=0.8)
    page = comparison_page(table, runs, 0.8, "gaze-vlm compare --config x.yaml --seeds 0 1", "torch 2")
    assert "`gaze-vlm compare --config x.yaml --seeds 0 1`" in page
    assert "48 clips of 12 sessions" in page
    assert "- Seeds: 0, 1\n- Train clips: 800\n" in page
    assert "- λ: baseline —; control 0; gaze 1\n" in page
    assert "torch 2" in page
    for columns, headline in (
        ("Noun | Noun anywhere | CHAIRs | Verb", "Noun"),
        ("Exact match | ROUGE-L | Semantic", "Semantic"),
        ("KL", "KL"),
    ):
        assert page.count(f"| Arm | {columns} | {headline} vs control [95 % interval], p (Holm) |") == 5
    noun = table.of("kitchen", "tiny-llava", "activity")["gaze"]["noun"]
    activity = page.split("## ")[1]
    any_ = table.of("kitchen", "tiny-llava", "activity")["gaze"]["noun_any"]
    shown = [f"{row.mean:.1f} ± {row.sd:.1f}" for row in (noun, any_)]
    difference = f"{noun.diff:+.1f} [{noun.diff_low:+.1f}, {noun.diff_high:+.1f}], p = {noun.p_holm:.3f}"
    assert f"| gaze | {shown[0]} | {shown[1]} | 25.0 ± 0.0 | 100.0 ± 0.0 | {difference} |" in activity
    assert "CHAIRs and CHAIRi, where less is better" in page
    assert "| gaze | 1.50 ± 0.00 | -1.00 [-1.00, -1.00], p < 0.001 |" in activity
    assert "repeats the current action" not in activity
    same = page.split("## ")[3]
    assert "| *oracle: repeats the current action* | 100.0 | — | — | 100.0 | — |" in same
    assert "| *oracle: repeats the current action* | 100.0 | 100.0 | — | — |" in same
    assert page.count("repeats the current action") == 2 * 4


def test_a_data_set_without_nouns_is_headed_by_the_semantic_score(tmp_path):
    lines = rows(answers(8, 0.5, 0))
    for line in lines:
        for name in ("verb", "noun", "noun_any", "noun_absent", "target_verb", "target_noun"):
            del line[name]
    runs = [
        read_run(write_run(tmp_path / "control", lines)),
        read_run(write_run(tmp_path / "gaze", lines, arm="gaze", weight=1.0)),
    ]
    assert headline_metric(runs) == "semantic"
    page = comparison_page(build_table(runs, "control", 0.8), runs, 0.8, "x", "y")
    assert "Semantic vs control" in page
    assert "| Arm | Exact match | ROUGE-L | Semantic | Semantic vs control [95 % interval], p (Holm) |" in page


def test_objects_named_are_compared_by_a_ratio_of_sums(tmp_path):
    """Arms name 2 objects, or as many as the clip's number says; a run of an older version has no such scores."""
    runs = []
    for arm, named in (("control", lambda clip: 2), ("gaze", lambda clip: clip % 4), ("old", lambda clip: None)):
        lines = rows(answers(CLIPS, 0.5, 0))
        for line in lines:
            if (count := named(int(line["clip_id"].removeprefix("clip")))) is not None:
                line |= {"nouns_named": count} | ({"chair_i": 1 / count} if count else {})
        runs.append(read_run(write_run(tmp_path / arm, lines, arm)))
    table = build_table(runs, "control", 0.8)
    shown = table.of("kitchen", "tiny-llava", "activity")
    assert "chair_i" not in shown["old"]
    assert shown["control"]["chair_i"].mean == pytest.approx(50)
    assert shown["gaze"]["chair_i"].mean == pytest.approx(100 * 3 / (1 + 2 + 3))
    assert shown["gaze"]["chair_i"].diff == pytest.approx(0, abs=1e-9)
    assert "nouns_named" not in shown["gaze"]
    page = comparison_page(table, runs, 0.8, "x", "y")
    assert "| CHAIRs | CHAIRi | Verb |" in page
    old = next(line for line in page.splitlines() if line.startswith("| old |"))
    assert old.split(" | ")[4] == "—"
    assert "nan" not in page


def test_without_labelled_targets_the_objects_head_their_table(tmp_path):
    lines = rows(answers(CLIPS, 0.5, 0))
    for line in lines:
        for name in ("verb", "noun", "noun_any", "target_verb", "target_noun"):
            del line[name]
    run = read_run(write_run(tmp_path / "control", lines))
    page = comparison_page(build_table([run], "control", 0.8), [run], 0.8, "x", "y")
    assert "| Arm | CHAIRs | CHAIRs vs control [95 % interval]" in page


def test_with_too_few_sessions_the_page_and_the_files_have_no_interval(tmp_path):
    runs = []
    for arm, share in (("control", 0.3), ("gaze", 0.7)):
        runs.append(read_run(write_run(tmp_path / arm, rows(answers(20, share, 1)), arm)))  # 5 sessions
    table = build_table(runs, "control", 0.8)
    row = table.of("kitchen", "tiny-llava", "activity")["gaze"]["noun"]
    assert not math.isnan(row.diff)
    assert math.isnan(row.diff_low)
    curve = curve_points(runs, "control", "noun")
    page = comparison_page(table, runs, 0.8, "x", "y", curve=curve)
    assert "With fewer than 6 sessions there is neither" in page
    assert f"| {row.diff:+.1f} [too few sessions] |" in page.split("## ")[1]
    assert "[too few sessions]" in page.split("## Data-size curve")[1]
    assert "nan" not in page
    table.write_csv(tmp_path / "table.csv")
    write_curve_csv(curve, tmp_path / "curve.csv")
    assert all("nan" not in (tmp_path / name).read_text() for name in ("table.csv", "curve.csv"))


def test_curve(tmp_path):
    runs = []
    for train_clips, shares in {400: (0.2, 0.5), 800: (0.4, 0.6), 2000: (0.7, 0.7)}.items():
        for arm, share in zip(("control", "gaze"), shares, strict=True):
            lines = rows(answers(CLIPS, share, train_clips + len(arm)))
            path = write_run(tmp_path / f"{arm}-{train_clips}", lines, arm, 0, train_clips)
            runs.append(read_run(path))
    curve = curve_points(runs, "control", "noun")
    assert len(curve) == 2 * 3 * 2
    point = next(p for p in curve if (p.arm, p.task, p.train_clips) == ("gaze", "activity", 400))
    values = [answers(CLIPS, share, 400 + length)[0].mean() for share, length in ((0.5, 4), (0.2, 7))]
    assert point.mean.mean == pytest.approx(values[0])
    assert point.difference is not None
    assert point.difference.mean == pytest.approx(values[0] - values[1])
    assert all((p.difference is None) == (p.arm == "control") for p in curve)

    write_curve_csv(curve, tmp_path / "curve.csv")
    lines = list(csv.DictReader((tmp_path / "curve.csv").read_text().splitlines()))
    assert len(lines) == len(curve)
    assert lines[0]["diff"] == ""
    curve_figure(curve, "Noun on kitchen").savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")

    main = [run for run in runs if run.train_clips == 800]
    page = comparison_page(build_table(main, "control", 0.8), main, 0.8, "x", "y", curve=curve, picture="curve.png")
    assert "![Noun over the number of train clips](curve.png)" in page
    difference = point.difference
    text = f"{100 * difference.mean:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    assert f"| activity | 400 | 1 | {100 * values[1]:.1f} [" in page
    assert f"{text} |" in page


def test_an_arm_that_sees_gaze_at_test_is_marked(runs):
    page = comparison_page(build_table(runs, "control", 0.8), runs, 0.8, "x", "y")
    assert "†" not in page
    marked = [replace(run, sees_gaze_at_test=run.arm == "gaze") for run in runs]
    page = comparison_page(build_table(marked, "control", 0.8), marked, 0.8, "x", "y")
    assert "- † The model is given gaze at test too" in page
    lines = page.split("## Runs")[0].splitlines()
    arms = [line.split(" | ")[0] for line in lines if line.startswith(("| gaze", "| control"))]
    assert set(arms) == {"| gaze†", "| control"}


def test_the_page_has_every_oracle(tmp_path):
    lines = rows(answers(CLIPS, 0.5, 0))
    runs = [read_run(write_run(tmp_path / "old", lines))]
    assert "session's previous clip" not in comparison_page(build_table(runs, "control", 0.8), runs, 0.8, "x", "y")
    for number, line in enumerate(lines):
        line["session_end_s"] = float(number)
    runs = [read_run(write_run(tmp_path / "new", lines))]
    page = comparison_page(build_table(runs, "control", 0.8), runs, 0.8, "x", "y")
    assert page.count("*oracle: copies the target of the session's previous clip*") >= 5
