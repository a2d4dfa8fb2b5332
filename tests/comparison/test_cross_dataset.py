import csv
from pathlib import Path

import numpy as np
import pytest

from fake_comparison import ELSEWHERE, Stub, accept, compared, write_config
from fake_runs import answers
from gaze_vlm.comparison.compare import run_comparison


@pytest.fixture
def store(project):
    """A store of another data set, as far as a comparison looks into it."""
    store = Path("data/other-store")
    store.mkdir(parents=True)
    for name in ("manifest.json", "clips.parquet"):
        (store / name).write_text(name)
    return store


def test_runs_are_tested_on_other_data_sets(project, store):
    compared(project, [0, 1], 1, Stub())
    stamps = {file: file.read_bytes() for file in Path("runs").rglob("compare.json")}
    write_config(also_test={"other": str(store)})
    stub = Stub()
    page = compared(project, [0, 1], 1, stub).read_text()
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
    assert section.count("| Noun vs control [95 % interval], p (Holm) |") == 5
    assert "## Data-size curve" in page.removesuffix(section)
    lines = list(csv.DictReader(Path("results/kitchen.csv").read_text().splitlines()))
    assert {line["dataset"] for line in lines} == {"kitchen", "other"}
    assert {line["clips"] for line in lines if line["dataset"] == "other" and line["task"] == "activity"} == {"12"}

    again = Stub()
    assert compared(project, [0, 1], 1, again).read_text() == page
    assert again.calls == []


def test_a_test_on_another_data_set_is_made_again_where_it_no_longer_holds(project, store):
    write_config(curve=None, also_test={"other": str(store)})
    compared(project, [0], 1, Stub())
    Path("runs/kitchen/gaze/seed0/also/other/compare.json").unlink()  # stopped before its end
    Path("runs/kitchen/control/seed0/predictions.jsonl").unlink()  # will be trained again
    stub = Stub()
    compared(project, [0], 1, stub)
    assert stub.subcommands == ["backbone", "fit", "test", "test"]
    (store / "clips.parquet").write_text("other clips")
    stub = Stub()
    compared(project, [0], 1, stub)
    assert stub.subcommands == ["test", "test"]


def test_a_failing_test_elsewhere_leaves_the_others_and_is_named(project, store, capsys):
    write_config(curve=None, also_test={"other": str(store)})
    log = "runs/kitchen/gaze/seed0/also/other/log.txt"
    failing = Stub(fail=(f"--run.dir={Path(log).parent}",))
    page, missing = run_comparison(project, [0], 1, failing, None, accept)
    assert [str(one) for one in missing] == [
        f"gaze (tiny-llava, 800 train clips), seed 0, tested on other: the test failed, {log}"
    ]
    text = page.read_text()
    assert f"- {missing[0]}" in text
    elsewhere = text.split("# Tested on other")[1]
    assert "| gaze (missing) | — |" in elsewhere
    assert "| gaze |" in text.split("# Tested on other")[0]
    assert f"whole log: {log}" in capsys.readouterr().err
    assert "missing" not in compared(project, [0], 1, Stub()).read_text()


def test_a_missing_store_is_found_before_anything_is_trained(project):
    write_config(also_test={"other": "data/none"})
    stub = Stub()
    with pytest.raises(ValueError, match=r"also_test: other: data/none has no manifest\.json: make the store"):
        compared(project, [0], 1, stub)
    assert stub.calls == []
