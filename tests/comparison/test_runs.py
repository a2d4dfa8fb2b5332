import json
from dataclasses import replace

import numpy as np
import pytest

from fake_runs import answers, rows, write_run
from gaze_vlm.comparison.runs import by_arm, check_same_clips, read_run
from gaze_vlm.errors import InputError
from gaze_vlm.metrics.semantic import semantic_similarity
from gaze_vlm.runs.prediction import Prediction, mean_scores, read_predictions, with_semantic_floor, write_lines


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


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.json", "predictions.jsonl"])
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


def test_runs_are_grouped_by_arm_and_seed(tmp_path, directory):
    control = [
        read_run(write_run(tmp_path / "control" / f"seed{seed}", rows(answers(6, 0.5, seed)), seed=seed))
        for seed in (1, 2)
    ]
    arms = by_arm([*control, read_run(directory)])
    assert {arm: list(seeds) for arm, seeds in arms.items()} == {"control": [1, 2], "gaze": [1]}
    with pytest.raises(ValueError, match="both are 'control', seed 2: move one away"):
        by_arm([*control, control[1]])


def test_a_prediction_is_read_as_it_was_written(tmp_path):
    scores = {"cross_entropy": 1.5, "semantic": 0.5, "noun": 1.0}
    one = Prediction("a", "v", "s", "future", "cuts", "cut cup", "cut", "cup", ("cup",), scores, True, -0.5, 4.0)
    file = tmp_path / "predictions.jsonl"
    write_lines(file, [one.row()])
    assert file.read_text() == (
        '{"clip_id": "a", "video_id": "v", "session": "s", "task": "future", "prediction": "cuts", '
        '"target": "cut cup", "target_verb": "cut", "target_noun": "cup", "clip_nouns": ["cup"], '
        '"cross_entropy": 1.5, "semantic": 0.5, "noun": 1.0, "attention_kl": null, "same_step": true, '
        '"future_starts_in_s": -0.5, "session_end_s": 4.0}\n'
    )
    assert read_predictions(file) == (one,)


def test_a_mean_is_over_the_predictions_that_have_the_score(directory):
    first, _, second = read_run(directory).predictions[:3]
    means = mean_scores([replace(first, scores={"noun": 1.0, "verb": 1.0}), replace(second, scores={"verb": 0.0})])
    assert means == {"activity": {"clips": 2, "verb": 0.5, "noun": 1, "noun_clips": 1}}


def test_the_mean_share_of_absent_objects_is_a_ratio_of_sums(directory):
    first, _, second, _, third = read_run(directory).predictions[:5]
    named = ({"nouns_named": 3.0, "chair_i": 1 / 3}, {"nouns_named": 1.0, "chair_i": 1.0}, {"nouns_named": 0.0})
    scored = [replace(one, scores=scores) for one, scores in zip((first, second, third), named, strict=True)]
    means = mean_scores(scored)["activity"]
    assert means == pytest.approx({"clips": 3, "chair_i": (1 + 1) / (3 + 1), "chair_i_clips": 2, "nouns_named": 4 / 3})
    assert "chair_i" not in mean_scores(scored[2:])["activity"]


def test_the_floor_is_of_the_same_task_and_missing_where_there_is_no_other_text(directory):
    class Lengths:
        def encode(self, sentences):
            return np.array([[1.0, len(sentence)] for sentence in sentences])

    predictions = read_run(directory).predictions[:4]
    targets = {"activity": ("cut cup", "cut the pot"), "future": ("wash", "Wash")}
    numbered = [replace(one, target=targets[one.task][index // 2]) for index, one in enumerate(predictions)]
    floored = with_semantic_floor(numbered, Lengths())
    assert [one.clip_id for one in floored] == [one.clip_id for one in numbered]
    expected = semantic_similarity(
        [one.prediction for one in numbered if one.task == "activity"], targets["activity"][::-1], Lengths()
    )
    assert [one.scores["semantic_floor"] for one in floored if one.task == "activity"] == pytest.approx(expected)
    assert not any("semantic_floor" in one.scores for one in floored if one.task == "future")


def test_runs_on_other_clips_are_named(tmp_path, directory):
    write_run(tmp_path / "short", rows(answers(5, 0.5, 1)), seed=1)
    with pytest.raises(ValueError, match=r"short/predictions\.jsonl lacks 2 of the 12 answers .*same store"):
        check_same_clips([read_run(directory), read_run(tmp_path / "short")])


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("run.json", {"seed": "1"}, r"run\.json is damaged \(seed is '1'\)"),
        ("run.json", {"arm": ["gaze"]}, r"run\.json is damaged \(arm is a list of 1\)"),
        ("run.json", {"arm": "a\ud800"}, r"run\.json is damaged \(arm is 'a\\ud800'\)"),
        ("run.json", {"floor": float("nan")}, r"run\.json is damaged \(floor is nan\)"),
        ("run.json", {"lambda": 10**400}, r"run\.json is damaged \(lambda is a number of 1329 bits\)"),
        ("run.json", {"train_seconds": "long"}, r"run\.json is damaged \(train_seconds is 'long'\)"),
        ("metrics.json", {"limited": 3}, r"metrics\.json is of a limited test, None of None samples"),
        ("state.json", {"state": "done"}, r"state\.json is damaged \(state is 'done'\): train the run again"),
        ("predictions.jsonl", {"noun": "right"}, r"predictions\.jsonl:1 is damaged \(noun is 'right'\)"),
        ("predictions.jsonl", {"noun": float("inf")}, r"predictions\.jsonl:1 is damaged \(noun is inf\)"),
        ("predictions.jsonl", {"target": None}, r"predictions\.jsonl:1 is damaged \(target is None\)"),
        ("predictions.jsonl", {"task": []}, r"predictions\.jsonl:1: task a list of 0 is none of"),
    ],
)
def test_a_value_of_another_type_is_named(directory, file, values, said):
    path = directory / file
    if file == "predictions.jsonl":
        first, *others = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps(json.loads(first) | values), *others]))
    else:
        path.write_text(json.dumps((json.loads(path.read_text()) if path.is_file() else {}) | values))
    with pytest.raises(ValueError, match=said):
        read_run(directory)


def test_a_file_that_is_no_text_and_one_without_end(directory):
    (directory / "predictions.jsonl").write_bytes(b'{"task": "\xff"}\n')
    with pytest.raises(ValueError, match=r"predictions\.jsonl:1 is damaged"):
        read_run(directory)
    (directory / "state.json").write_text('{"state": ' * 200_000)
    with pytest.raises(ValueError, match=r"state\.json is damaged \(nested deeper than 64 levels\)"):
        read_run(directory)


def test_a_long_value_is_cut_in_a_message(directory):
    with pytest.raises(ValueError, match=r"a{200}… of 100000 letters") as caught:
        raise InputError(f"{directory}: {'a' * 100_000} is no number")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("key", ["session", "target", "same_step", "future_starts_in_s"])
def test_clips_of_another_preparation_are_not_compared(directory, tmp_path, key):
    other = rows(answers(6, 0.5, 0), kl=1.5)
    other[3][key] = {"session": "P9", "target": "wash", "same_step": True, "future_starts_in_s": 0.9}[key]
    runs = [read_run(directory), read_run(write_run(tmp_path / "other", other))]
    with pytest.raises(InputError, match=r"lacks 1 of the 12 answers .*, has 1 others: test both on the same store"):
        check_same_clips(runs)
