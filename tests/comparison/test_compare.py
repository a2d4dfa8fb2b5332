import json
from pathlib import Path

import pytest

from fake_comparison import CLIPS, Stub, accept, compared, write_config
from fake_runs import answers, rows, write_run
from gaze_vlm.command_line.commands import PROGRAM
from gaze_vlm.comparison.choice import Choice
from gaze_vlm.comparison.compare import compare, missing_commands, run_comparison, write_page
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.comparison.planned_runs import PlannedRun, job_of, planned_runs, resumed
from gaze_vlm.errors import CommandError
from gaze_vlm.processes.jobs import thread_environment
from gaze_vlm.runs.directory import RunDirectory


def test_trains_what_is_missing_and_writes_everything(project, capsys):
    stub = Stub()
    page = compared(project, [0, 1], 2, stub)
    assert page == Path("results/kitchen.md")
    assert sorted(stub.subcommands) == ["backbone"] * 2 + ["fit"] * 8
    assert set(stub.subcommands[:2]) == {"backbone"}
    assert all(environment == thread_environment(2) for _, environment in stub.calls)
    begun = capsys.readouterr().err
    assert all(f"begins: runs/kitchen/{log}" in begun for log in ("before-seed0.log", "gaze-400/seed1/log.txt"))
    text = page.read_text()
    assert "gaze-vlm compare --config compare.yaml --seeds 0 1" in text
    assert "## Data-size curve" in text
    for suffix in (".csv", "_curve.csv", "_curve.png"):
        assert Path(f"results/kitchen{suffix}").is_file()
    assert {p.parent.name for p in Path("runs/kitchen").glob("*/seed0")} == {
        "control",
        "control-400",
        "gaze",
        "gaze-400",
    }

    again = Stub()
    assert compared(project, [0, 1], 2, again).read_text() == text
    assert again.calls == []


@pytest.mark.parametrize("lost", ["predictions.jsonl", "compare.json"])
def test_an_interrupted_run_is_redone_from_its_beginning(project, lost):
    compared(project, [0], 1, Stub())
    run = Path("runs/kitchen/gaze/seed0")
    (run / lost).unlink()
    (run / "checkpoints").mkdir()
    stub = Stub()
    compared(project, [0], 1, stub)
    assert stub.subcommands == ["backbone", "fit"]
    assert all(f"--run.dir={run}" in command for command, _ in stub.calls[1:])
    assert not (run / "checkpoints").exists()


STATES = {
    "untested": ("finished", "best.ckpt"),
    "killed": ("running", "last.ckpt"),
    "interrupted": ("interrupted", "last.ckpt"),
    "failed": ("failed", "last.ckpt"),
}


@pytest.mark.parametrize(
    ("left", "anew", "expected"),
    [
        ("untested", False, "test"),
        ("killed", True, "anew"),
        ("killed", False, "resumed"),
        ("interrupted", False, "resumed"),
        ("failed", False, "anew"),
        ("untested", True, "test"),
    ],
)
def test_what_an_interrupted_run_left_is_ended_or_begun_anew(project, capsys, left, anew, expected):
    write_config(curve=None, before_seed="absent", arms={"control": "control.yaml"})
    compared(project, [0], 1, Stub())
    table = Path("results/kitchen.csv").read_bytes()
    run = RunDirectory(Path("runs/kitchen/control/seed0"))
    run.stamp.rename(run.begun)
    state, checkpoint = STATES[left]
    run.write_state(state)
    run.checkpoints.mkdir()
    (run.checkpoints / checkpoint).touch()

    class Ending(Stub):
        def __call__(self, command, log, environment):
            status = super().__call__(["", "", "", "fit", *command[4:]], log, environment)
            run.write_state("finished")
            self.calls[-1] = (command, environment)
            return status

    stub = Ending()
    run_comparison(project, [0], 1, stub, None, accept, anew=anew)
    (command, _), *others = stub.calls
    assert others == []
    assert command[3] == ("test" if expected == "test" else "fit")
    assert ("--ckpt_path=last" in command, "--ckpt_path=best" in command) == (expected == "resumed", expected == "test")
    assert run.checkpoints.exists() == (expected != "anew")
    assert not run.begun.exists()
    assert Path("results/kitchen.csv").read_bytes() == table
    said = "it begins anew" if expected == "anew" else f"{command[3]} ends it"
    assert f"{run} was interrupted: {said}" in capsys.readouterr().err


def test_an_interrupted_run_of_other_settings_begins_anew(project):
    compared(project, [0], 1, Stub())
    run = RunDirectory(Path("runs/kitchen/gaze/seed0"))
    run.stamp.rename(run.begun)
    run.write_state("finished")
    run.checkpoints.mkdir()
    run.best.touch()
    Path("gaze.yaml").write_text("weight: 3\n")
    for other in Path("runs/kitchen").glob("gaze-400/seed0"):
        (other / "compare.json").unlink()  # of the same arm
    stub = Stub()
    compared(project, [0], 1, stub)
    assert stub.subcommands == ["backbone", "fit", "fit"]


def test_a_run_made_by_hand_counts_if_it_is_what_it_should_be(project):
    write_config(curve=None, arms={"control": "control.yaml"})
    run = write_run(Path("runs/kitchen/control/seed0"), rows(answers(CLIPS, 0.5, 0)))
    stub = Stub()
    compared(project, [0], 1, stub)
    assert stub.calls == []
    write_run(run, rows(answers(CLIPS, 0.5, 0)), train_clips=500)
    with pytest.raises(ValueError, match=r"run\.json: train_clips is 500, the comparison asks for 800"):
        compared(project, [0], 1, stub)


def test_what_is_no_run_is_not_touched(project):
    file = Path("runs/kitchen/control/seed0/thesis.txt")
    file.parent.mkdir(parents=True)
    file.write_text("")
    with pytest.raises(ValueError, match="is not empty and holds no finished run"):
        compared(project, [0], 1, Stub())
    assert file.is_file()


def test_a_run_of_other_settings_is_not_taken_for_the_asked_one(project):
    compared(project, [0], 1, Stub())
    Path("gaze.yaml").write_text("weight: 3\n")
    with pytest.raises(ValueError, match=r"gaze/seed0 was trained with other settings .*\(gaze\.yaml\): move it"):
        compared(project, [0], 1, Stub())


def test_the_command_of_a_run(project):
    comparison = load_comparison(project)
    run = PlannedRun("kitchen", "tiny-llava", "gaze", 2, 400, RunDirectory(Path("runs/kitchen/gaze-400/seed2")))
    assert job_of(run, comparison).command == [
        "fit",
        "--config=base.yaml",
        "--config=gaze.yaml",
        "--run.dir=runs/kitchen/gaze-400/seed2",
        "--run.test_after_fit=true",
        "--seed_everything=2",
        "--data.train_clips=400",
        "--checkpoint=checkpoints/seed2",
    ]


def test_an_arm_of_several_files_has_its_own_name(project):
    write_config(arms={"both": ["gaze.yaml", "control.yaml"], "control": "control.yaml"}, curve="absent")
    comparison = load_comparison(project)
    both, control = (job_of(run, comparison).command for run in planned_runs(comparison, [0]))
    assert both[1:4] == ["--config=base.yaml", "--config=gaze.yaml", "--config=control.yaml"]
    assert "--run.arm=both" in both
    assert not any("--run.arm" in option for option in control), "its file is held to the name"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, r"compare\.yaml: seed: unknown key, use arms, "),
        ({"control": "absent"}, r"compare\.yaml: .*required: control"),
        ({"control": "none"}, r"compare\.yaml: control: 'none' is no arm, name one of control, gaze"),
        ({"train_clips": "many"}, r'compare\.yaml: .*"train_clips".*int.*many'),
        ({"configs": ["gone.yaml"]}, r"compare\.yaml: configs, backbones and arms: gone\.yaml does not exist"),
        ({"curve": {"arms": ["x"], "train_clips": [1]}}, r"compare\.yaml: curve\.arms: 'x' is no arm"),
        ({"curve": {"arm": ["gaze"]}}, r"compare\.yaml: .*'curve' does not accept option 'arm'"),
        ({"curve": {"arms": ["gaze"]}}, r"compare\.yaml: curve\.train_clips: empty"),
        ({"also_test": {"kitchen": "s"}}, r"compare\.yaml: also_test: 'kitchen' is the data set of the comparison"),
        ({"also_test": {"../up": "s"}}, r"compare\.yaml: also_test: the name '\.\./up' cannot be a file name"),
        ({"also_test": ["s"]}, r'compare\.yaml: .*"also_test"'),
        (
            {"overrides": ["{lambda}{train_clips}"]},
            r"compare\.yaml: overrides: '\{lambda\}.*cannot be filled in",
        ),
    ],
)
def test_errors_name_file_key_and_fix_in_one_line(project, changed, message):
    write_config(**changed)
    with pytest.raises(ValueError, match=message) as error:
        load_comparison(project)
    assert "\n" not in str(error.value)


def test_errors_without_a_config(project):
    with pytest.raises(ValueError, match=r"gone\.yaml does not exist: name the comparison's YAML"):
        load_comparison(Path("gone.yaml"))
    project.write_text("[1, 2]")
    with pytest.raises(ValueError, match="holds list, not keys"):
        load_comparison(project)
    project.write_text("a: [")
    with pytest.raises(ValueError, match="is no YAML"):
        load_comparison(project)
    project.write_text("arms:\n  gaze: a.yaml\n  gaze: b.yaml\n")
    with pytest.raises(ValueError, match=r"the key 'gaze' stands there twice: join what is below both .*line 3"):
        load_comparison(project)


def test_defaults_and_stamp(project):
    write_config(curve=None, before_seed=None, overrides=None)
    comparison = load_comparison(project)
    assert (comparison.seeds, comparison.reach_s, comparison.curve.arms) == ((0, 1, 2), 0.8, ())
    stub = Stub()
    compared(project, None, 2, stub)
    assert sorted(stub.subcommands) == ["fit"] * 6
    stamp = json.loads(Path("runs/kitchen/gaze/seed0/compare.json").read_text())
    assert set(stamp) == {"command", "base.yaml", "gaze.yaml"}


def test_seeds_follow_one_another_and_the_next_one_is_made_ready_ahead(project):
    write_config(curve=None)
    planned = [line.split()[1] for line in missing_commands(load_comparison(project), [0, 1, 2])]
    stub = Stub()
    compared(project, [0, 1, 2], 1, stub)
    assert planned == stub.subcommands == "backbone backbone fit fit backbone fit fit fit fit".split()


def test_several_backbones_are_rows_of_one_table(project):
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text("configs: [base.yaml]\n")
    several = {"one": "one.yaml", "two": "two.yaml"}
    write_config(
        backbone="absent", curve="absent", configs="absent", backbones=several, before_seed=["make", "{backbone}"]
    )
    stub = Stub()
    page = compared(project, [0], 1, stub).read_text()
    fits = [command for command, _ in stub.calls if command[3:4] == ["fit"]]
    assert [command for command, _ in stub.calls[:2]] == [["make", "one"], ["make", "two"]]
    assert [command[4:6] for command in fits[1::2]] == [
        ["--config=one.yaml", "--config=gaze.yaml"],
        ["--config=two.yaml", "--config=gaze.yaml"],
    ]
    assert Path("runs/kitchen/two/gaze/seed0/run.json").is_file()
    head = "| Backbone | control | gaze | gaze vs control [95 % interval], p (Holm) | KL, control | KL, gaze |"
    assert page.startswith("# kitchen: 2 backbones")
    assert page.count(head) == 2
    overview = page.split("# kitchen, one")[0]
    assert overview.count("| one | ") == overview.count("| two | ") == 2
    Path("base.yaml").write_text("# changed\n")
    with pytest.raises(ValueError, match=r"other settings than now asked for \(base.yaml\)"):
        compared(project, [0], 1, Stub())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backbone": "absent"}, r"compare\.yaml names no backbone: give --backbone, or the key backbones"),
        ({"dataset": "absent"}, r"compare\.yaml names no dataset: give --data, or the key datasets"),
        ({"backbones": {"one": "base.yaml"}}, "backbone and backbones: give the name of one, or the names and paths"),
        ({"datasets": {"one": "base.yaml"}}, "dataset and datasets: give the name of one, or the names and paths"),
    ],
)
def test_one_backbone_and_data_set_or_several_are_named(project, changed, message):
    write_config(curve="absent", **changed)
    with pytest.raises(ValueError, match=message):
        load_comparison(project)


@pytest.mark.parametrize("place", ["results", "runs"])
def test_a_place_that_cannot_be_written_is_found_before_the_first_training(project, place):
    Path(place).write_text("")
    stub = Stub()
    with pytest.raises(ValueError, match=rf"{place}\S* cannot be a folder, for \S*{place} is a file"):
        compared(project, [0], 1, stub)
    assert stub.calls == []


def test_the_page_is_written_as_report_does_it_with_the_same_choice(project):
    stub = Stub()
    page = Path("results/kitchen.html")
    assert write_page(project, Choice(arms=("gaze",), output=Path("elsewhere")), [1, 2], 0, page, stub) == page
    ((command, environment),) = stub.calls
    chosen = ["--config", "compare.yaml", "--arms", "gaze", "--seeds", "1", "2"]
    assert command == [*PROGRAM, "report", *chosen, "--output", "results/kitchen.html", "--count", "0"]
    assert environment == thread_environment(1)
    assert Path("runs/kitchen/report.log").is_file()
    with pytest.raises(CommandError, match="last words"):
        write_page(project, Choice(), None, 3, page, Stub(fail=["report"]))


def test_a_dry_run_prints_the_commands_and_runs_none(project, capsys):
    Path("options.yaml").write_text("timeout_min: 60\nslurm_partition: gpu\n")
    compare(project, seeds=[0], engine="submitit", engine_options=Path("options.yaml"), dry_run=True)
    shown = capsys.readouterr()
    assert "each of 5 commands is a job of options.yaml: {'timeout_min': 60, 'slurm_partition': 'gpu'}" in shown.err
    first, *fits = shown.out.splitlines()
    assert first == "gaze-vlm backbone --output checkpoints/seed0"
    assert len(fits) == 4
    assert all(line.startswith("gaze-vlm fit --config=base.yaml --config=") for line in fits)
    assert not Path("runs").exists()
    compared(project, [0], 1, Stub())
    compare(project, seeds=[0], dry_run=True)
    assert capsys.readouterr().out.splitlines()[-1] == "every run is there"


@pytest.mark.parametrize(
    ("state", "checkpoint", "more"),
    [
        ("running", "last.ckpt", ["fit", "--run.dir=run", "--ckpt_path=last"]),
        ("running", None, ["fit", "--run.dir=run", "--run.overwrite=true"]),
        ("finished", "best.ckpt", ["test", "--config=run/config.yaml", "--ckpt_path=best"]),
    ],
)
def test_what_a_job_that_is_handed_in_again_runs(project, state, checkpoint, more):
    run = RunDirectory(Path("run"))
    run.checkpoints.mkdir(parents=True)
    run.write_state(state)
    if checkpoint is not None:
        (run.checkpoints / checkpoint).touch()
    command = resumed([*PROGRAM, "fit", "--run.dir=run"])
    assert command == [*PROGRAM, *more]
    assert resumed(command) == command  # a second time, too
    assert resumed(["make", "it"]) == ["make", "it"]
