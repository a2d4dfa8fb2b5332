import csv
from pathlib import Path

import numpy as np
import pytest

from fake_comparison import ELSEWHERE, Stub, write_config
from fake_runs import answers
from gaze_vlm.comparison.compare import run_comparison
from gaze_vlm.comparison.runs import find_runs


@pytest.fixture
def store(project):
    """A store of another data set, as far as a comparison looks into it."""
    store = Path("data/other-store")
    store.mkdir(parents=True)
    for name in ("manifest.json", "clips.parquet"):
        (store / name).write_text(name)
    return store


def test_runs_are_tested_on_other_data_sets(project, store):
    run_comparison(project, [0, 1], 1, Stub(), None)
    stamps = {file: file.read_bytes() for file in Path("runs").rglob("compare.json")}
    write_config(also_test={"other": str(store)})
    stub = Stub()
    page = run_comparison(project, [0, 1], 1, stub, None).read_text()
    assert stub.subcommands == ["test"] * 4  # not the curve's runs, and nothing is trained again
    assert {file: file.read_bytes() for file in stamps} == stamps
    run = Path("runs/kitchen/gaze/seed1")
    assert stub.calls[-1][0][3:] == [
        "test",
        f"--config={run}/config.yaml",
        f"--ckpt_path={run}/checkpoints/best.ckpt",
        f"--data.store={store}",
        f"--run.dir={run}/also/other",
        "--run.dataset=other",
    ]

    section = page.split("# Tested on other, trained on kitchen, tiny-llava")[1]
    assert f"{ELSEWHERE} clips of 3 sessions for the activity" in section
    assert "- Train clips: 800" in section
    expected = np.array([answers(ELSEWHERE, 0.5, seed)[0].mean() for seed in (0, 1)])
    assert f"| gaze | {100 * expected.mean():.1f} ± {100 * expected.std(ddof=1):.1f} |" in section
    assert section.count("| Noun vs control [95 % interval] |") == 5
    assert "## Data-size curve" in page.removesuffix(section)
    lines = list(csv.DictReader(Path("results/kitchen.csv").read_text().splitlines()))
    assert {line["dataset"] for line in lines} == {"kitchen", "other"}
    assert {line["clips"] for line in lines if line["dataset"] == "other" and line["task"] == "activity"} == {"12"}

    assert {run.dataset for run in find_runs(Path("runs"))} == {"kitchen"}
    again = Stub()
    assert run_comparison(project, [0, 1], 1, again, None).read_text() == page
    assert again.calls == []


def test_a_test_on_another_data_set_is_made_again_where_it_no_longer_holds(project, store):
    write_config(curve=None, also_test={"other": str(store)})
    run_comparison(project, [0], 1, Stub(), None)
    Path("runs/kitchen/gaze/seed0/also/other/compare.json").unlink()  # stopped before its end
    Path("runs/kitchen/control/seed0/predictions.jsonl").unlink()  # will be trained again
    stub = Stub()
    run_comparison(project, [0], 1, stub, None)
    assert stub.subcommands == ["backbone", "fit", "test", "test"]
    (store / "clips.parquet").write_text("other clips")
    stub = Stub()
    run_comparison(project, [0], 1, stub, None)
    assert stub.subcommands == ["test", "test"]


def test_a_failing_test_elsewhere_stops_with_the_end_of_its_log(project, store):
    write_config(curve=None, also_test={"other": str(store)})
    with pytest.raises(RuntimeError, match=r"status 3: .*\n  test\n  last words\nwhole log: .*also/other/log\.txt"):
        run_comparison(project, [0], 1, Stub(fail=("test",)), None)


def test_a_missing_store_is_told_before_anything_is_trained(project):
    write_config(also_test={"other": "data/none"})
    stub = Stub()
    with pytest.raises(ValueError, match=r"also_test: other: data/none has no manifest\.json: make the store"):
        run_comparison(project, [0], 1, stub, None)
    assert stub.calls == []
