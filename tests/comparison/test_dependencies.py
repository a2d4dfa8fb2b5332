"""Which runs that are there count: those of the data, configurations and commands that are asked for now."""

from pathlib import Path

import pytest

from fake_comparison import Stub, accept, compared, write_config
from gaze_vlm.comparison.compare import run_comparison
from gaze_vlm.errors import InputError


def test_runs_of_a_store_that_was_prepared_again_do_not_count(project):
    """Nor do those of other targets, or of another command before them."""
    store = Path("store")
    store.mkdir()
    for name in ("manifest.json", "clips.parquet"):
        (store / name).write_text(name)
    Path("targets.csv").write_text("a")
    Path("base.yaml").write_text("data: {store: elsewhere, targets: targets.csv}\n")
    of_store = {"curve": None, "overrides": ["--data.store=store"]}
    write_config(**of_store)
    compared(project, [0], 1, Stub())
    for file, text in ((store / "clips.parquet", "prepared again"), (Path("targets.csv"), "b")):
        before = file.read_text()
        file.write_text(text)
        with pytest.raises(InputError, match=rf"trained with other settings than now asked for \({file}\): move it"):
            compared(project, [0, 1], 1, Stub())
        file.write_text(before)
    compared(project, [0], 1, Stub())
    write_config(**of_store, before_seed=["gaze-vlm", "backbone", "--output", "checkpoints/seed{seed}", "--quick"])
    with pytest.raises(InputError, match=r"other settings than now asked for \(before_seed\)"):
        compared(project, [0], 1, Stub())


def test_a_stamp_of_before_counts_without_what_was_not_looked_at_then(project):
    write_config(curve=None, before_seed="absent")
    compared(project, [0], 1, Stub())
    write_config(curve=None)
    stub = Stub()
    compared(project, [0], 1, stub)
    assert stub.subcommands == []


def test_a_run_that_another_comparison_ended_meanwhile_stays(project):
    write_config(curve=None, before_seed="absent")
    theirs = Stub()

    class Ours(Stub):
        def __call__(self, command, log, environment):
            if not self.calls:

                def others(command, file, environment):  # the run that we are at is refused to them
                    return 3 if file == log else theirs(command, file, environment)

                run_comparison(project, [0, 1], 1, others, None, accept)
            return super().__call__(command, log, environment)

    ours = Ours()
    compared(project, [0, 1], 1, ours)
    assert (theirs.subcommands, ours.subcommands) == (["fit"] * 3, ["fit"])
