import json

import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.runs import FILES, by_arm, check_same_clips, find_runs, read_run


@pytest.fixture
def directory(tmp_path):
    return write_run(tmp_path / "gaze" / "seed1", rows(answers(6, 0.5, 0), kl=1.5), "gaze", seed=1, weight=1.0)


def test_reads_a_run(directory):
    run = read_run(directory)
    assert (run.arm, run.seed, run.backbone, run.dataset, run.train_clips) == (
        "gaze",
        1,
        "tiny-llava",
        "kitchen",
        800,
    )
    assert (run.weight, run.floor) == (1.0, 1e-3)
    assert len(run.predictions) == 12
    assert len(run.of_task("future")) == 6
    first = run.predictions[0]
    assert (first.clip_id, first.session, first.target_noun) == ("clip0000", "P00", "red cup")
    assert first.scores["attention_kl"] == 1.5


def test_null_scores_are_absent(directory):
    lines = rows(answers(1, 1, 0))
    for line in lines:
        for name in ("verb", "noun", "noun_any", "noun_absent", "target_verb", "target_noun"):
            del line[name]
    write_run(directory, lines)
    prediction = read_run(directory).predictions[0]
    assert set(prediction.scores) == {"exact_match", "rouge_l", "semantic"}
    assert prediction.future_starts_in_s == 3.0
    assert prediction.target_noun is None


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(directory, name):
    (directory / name).unlink()
    with pytest.raises(ValueError, match=rf"seed1/{name} is missing: the run did not finish"):
        read_run(directory)


def damage_cut(text):
    return text[:-20]


def damage_empty(text):
    return ""


def damage_twice(text):
    return text + text.splitlines()[0] + "\n"


def damage_key(text):
    return text.replace('"clip_id"', '"clip"')


def damage_task(text):
    return text.replace('"task": "future"', '"task": "past"')


def damage_list(text):
    return "[]\n" + text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_cut, r"predictions\.jsonl:12 is damaged .*: test the run again"),
        (damage_empty, r"predictions\.jsonl is empty"),
        (damage_twice, r"predictions\.jsonl:13 is a second activity answer for clip clip0000"),
        (damage_key, r"predictions\.jsonl:1 has no key 'clip_id'"),
        (damage_task, r"predictions\.jsonl:2: task 'past' is none of activity, future"),
        (damage_list, r"predictions\.jsonl:1 holds list, not a JSON object"),
    ],
)
def test_damaged_predictions_are_named(directory, damage, message):
    file = directory / "predictions.jsonl"
    file.write_text(damage(file.read_text()))
    with pytest.raises(ValueError, match=message):
        read_run(directory)


def test_a_missing_key_of_the_run_is_named(directory):
    file = directory / "run.json"
    about = json.loads(file.read_text())
    del about["floor"]
    file.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"run\.json has no key 'floor': test the run again"):
        read_run(directory)


def test_find_and_group(tmp_path, directory):
    write_run(tmp_path / "control" / "seed1", rows(answers(6, 0.5, 1)), seed=1)
    write_run(tmp_path / "control" / "seed2", rows(answers(6, 0.5, 2)), seed=2)
    arms = by_arm(find_runs(tmp_path))
    assert {arm: list(seeds) for arm, seeds in arms.items()} == {"control": [1, 2], "gaze": [1]}
    with pytest.raises(ValueError, match="holds no run"):
        find_runs(tmp_path / "nowhere")
    write_run(tmp_path / "other", rows(answers(6, 0.5, 2)), seed=2)
    with pytest.raises(ValueError, match="both are 'control', seed 2: move one away"):
        by_arm(find_runs(tmp_path))


def test_runs_on_other_clips_are_named(tmp_path, directory):
    write_run(tmp_path / "short", rows(answers(5, 0.5, 1)), seed=1)
    with pytest.raises(ValueError, match=r"short/predictions\.jsonl lacks 2 of the 12 answers .*same store"):
        check_same_clips([read_run(directory), read_run(tmp_path / "short")])
