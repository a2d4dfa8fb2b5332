"""A comparison whose YAML names arms alone, on backbones and data sets that the command line chooses."""

from pathlib import Path

import pytest
import yaml

from fake_comparison import CLIPS, Stub, compared
from gaze_vlm.comparison.choice import Choice, store_of
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.planned_runs import fit_options, job_of, planned_runs
from gaze_vlm.errors import InputError, MissingFileError

ARMS = Path("arms.yaml")


@pytest.fixture
def arms(project):
    """A comparison of arms alone, with backbones and data sets to choose from."""
    values = {"arms": {"control": "control.yaml", "gaze": "gaze.yaml"}, "control": "control", "configs": ["base.yaml"]}
    ARMS.write_text(yaml.safe_dump(values))
    Path("part.yaml").write_text("run: {backbone: small}\n")
    Path("whole.yaml").write_text("configs: [part.yaml]\nrun: {dir: x}\n")
    for name in ("kitchen", "other"):
        Path(f"data/{name}-store").mkdir(parents=True)
        for file in ("manifest.json", "clips.parquet"):
            Path(f"data/{name}-store", file).write_text(name)
    Path("data.yaml").write_text("run: {dataset: other}\ndata: {store: data/other-store, batch_size: 4}\n")
    return ARMS


def options(**chosen):
    """Options of the first run, without those of its directory."""
    comparison = load_comparison(ARMS, Choice(**chosen))
    return [
        option for option in fit_options(planned_runs(comparison, [0])[0], comparison) if "test_after" not in option
    ]


def test_the_parts_of_a_run_come_in_the_order_of_a_training(arms):
    assert options(backbone=("part.yaml",), data=("data.yaml",)) == [
        "--config=base.yaml",
        "--config=data.yaml",
        "--config=part.yaml",
        "--config=control.yaml",
        "--run.dir=runs/arms/other/small/control/seed0",
        "--seed_everything=0",
        "--run.backbone=small",
        "--data.store=data/other-store",
        "--run.dataset=other",
    ]


def test_a_whole_run_takes_the_place_of_the_configs_below_the_data(arms):
    chosen = options(backbone=("mine=whole.yaml",), data=("data.yaml",), train_clips=200)
    assert chosen[:3] == ["--config=whole.yaml", "--config=data.yaml", "--config=control.yaml"]
    assert "--config=base.yaml" not in chosen, "what is its own, such as max_new_tokens, would stay"
    assert chosen[3] == "--run.dir=runs/arms-200/other/mine/control/seed0"
    assert "--data.train_clips=200" in chosen


def test_backbones_data_sets_arms_and_seeds(arms):
    chosen = {"backbone": ("part.yaml", "two=part.yaml"), "data": ("kitchen=data/kitchen-store", "data.yaml")}
    stub = Stub()
    page = compared(arms, [0, 1], 1, stub, **chosen)
    assert page == Path("results/arms/kitchen+other_small+two.md")
    assert stub.subcommands == ["fit"] * 16
    assert Path("runs/arms/other/two/gaze/seed1/run.json").is_file()
    text = page.read_text()
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert headings == [
        "# kitchen: 2 backbones",
        "# kitchen, small",
        "# kitchen, two",
        "# other: 2 backbones",
        "# other, small",
        "# other, two",
    ]
    assert "--backbone part.yaml two=part.yaml --data kitchen=data/kitchen-store data.yaml --seeds 0 1`" in text
    again = Stub()
    compared(arms, [0, 1], 1, again, backbone=("part.yaml",), data=("data.yaml",))
    assert again.calls == []  # the same runs, another page
    assert Path("results/arms/other_small.md").is_file()


def test_each_data_set_is_tested_on_the_others(arms):
    stores = ("kitchen=data/kitchen-store", "other=data/other-store")
    stub = Stub(elsewhere=CLIPS)
    page = compared(arms, [0], 1, stub, backbone=("part.yaml",), data=stores, also_test=stores).read_text()
    assert stub.subcommands == ["fit"] * 4 + ["test"] * 4
    assert "# Tested on other, trained on kitchen, small" in page
    assert "# Tested on kitchen, trained on other, small" in page


def test_some_arms_with_their_control(arms):
    stub = Stub()
    page = compared(
        arms, [0], 1, stub, backbone=("part.yaml",), data=("data.yaml",), arms=("gaze",), output=Path("x/y")
    )
    assert page == Path("x/y.md")
    assert len(stub.calls) == 2


def test_a_choice_stands_in_place_of_what_the_yaml_names(project):
    Path("data/kitchen-store").mkdir(parents=True)
    comparison = load_comparison(project, Choice(data=("data/kitchen-store",), backbone=("base.yaml",)))
    assert (comparison.dataset_names, comparison.backbone_names) == (("kitchen",), ("base",))
    assert str(comparison.output) == "results/kitchen/kitchen_base"
    with pytest.raises(InputError, match="curve: it is of one backbone and data set"):
        load_comparison(project, Choice(backbone=("a=base.yaml", "b=base.yaml")))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"backbone": ("prt.yaml",)}, r"--backbone: prt\.yaml does not exist: fix the path; did you mean .*part\.yaml"),
        ({"backbone": ("data",)}, "--backbone: data is a folder: name a YAML"),
        ({"backbone": ("part.yaml", "small=whole.yaml")}, "part.yaml and whole.yaml are both named 'small'"),
        ({"data": ("kitchen=data/kitchn",)}, "--data: data/kitchn does not exist"),
        ({"backbone": ("part.yaml",), "data": ("part.yaml",)}, r"part\.yaml has no data\.store: add the store"),
        ({"arms": ("gase",)}, r"--arms: 'gase' is no arm of arms\.yaml: name some of control, gaze; did you mean gaze"),
        ({"data": ("data.yaml",)}, r"arms\.yaml names no backbone: give --backbone"),
        ({"backbone": ("part.yaml",)}, r"arms\.yaml names no dataset: give --data"),
    ],
)
def test_errors_name_the_option_the_value_and_the_fix(arms, chosen, message):
    with pytest.raises((InputError, MissingFileError), match=message):
        load_comparison(arms, Choice(**chosen))


def test_a_store_in_a_home_folder(arms, monkeypatch):
    """Runs did not depend on it, and the other data set's test was of a folder called `~`."""
    monkeypatch.setenv("HOME", str(Path.cwd()))
    Path("data.yaml").write_text("run: {dataset: other}\ndata: {store: ~/data/other-store}\n")
    comparison = load_comparison(ARMS, Choice(backbone=("part.yaml",), data=("data.yaml",)))
    inputs = job_of(planned_runs(comparison, [0])[0], comparison).inputs
    assert Path.cwd() / "data/other-store/manifest.json" in inputs
    assert store_of(Path("data.yaml")) == Path.cwd() / "data/other-store"
