"""Files that a stranger may have written: whatever is in them, a reader reads them or says what is wrong.

A short part runs by default; `make fuzz` draws many more.
"""

from pathlib import Path

import pytest
from data_files import data_targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_files import run_targets
from target import Target

import ego4d_files

SHORT, LONG = 8, 1500


@pytest.fixture(scope="module")
def targets(raw_root: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """Every kind of file, by name."""
    place = tmp_path_factory.mktemp("fuzz")
    return data_targets(place, raw_root, prepared) | run_targets(place, prepared)


NAMES = (
    "egtea gaze P01-R01-Pizza",
    "egtea gaze P01-R02-Salad",
    "egtea verb_idx.txt",
    "egtea noun_idx.txt",
    "egtea action_idx.txt",
    "egtea raw_annotations/action_labels.csv",
    "ego4d ego4d.json",
    "ego4d narration.json",
    f"ego4d {ego4d_files.TRAIN_UIDS[0][-10:]}.csv",
    "glc labels",
    "glc spans",
    "folder generic",
    "folder captions",
    "folder participants",
    "folder take",
    "folder pupil",
    "folder world",
    "folder pupil core",
    "folder pupil core world",
    "folder tobii 2",
    "folder tobii 3",
    "folder tobii 3 gz",
    "video",
    "image",
    "manifest",
    "clips",
    "video gaze",
    "quality",
    "run.json",
    "metrics.json",
    "state.json",
    "predictions.jsonl",
    "config.yaml",
    "run config",
    "training.json",
    "loggers.json",
    "alignment",
    "captions c.jsonl",
    "captions c.made_of.json",
    "base model's page",
    "export settings",
    "published",
    "targets",
    "digest",
    "checkpoint",
    "checkpoint values",
    "sharded sums",
    "sharded rest",
    "shard",
)


def check(target: Target, examples: int) -> None:
    suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large]

    @settings(max_examples=max(3, examples // target.cost), deadline=None, suppress_health_check=suppressed)
    @given(st.integers(0, 2**32 - 1))
    def any_seed(seed: int) -> None:
        target.check(seed)

    any_seed()


def test_every_target_is_tried(targets: dict[str, Target]) -> None:
    assert sorted(targets) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_read_or_refused_in_a_line(targets: dict[str, Target], name: str) -> None:
    check(targets[name], SHORT)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_damaged_files(targets: dict[str, Target], name: str) -> None:
    check(targets[name], LONG)
