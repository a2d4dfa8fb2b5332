"""Target texts against a tokenizer: special tokens are refused by clip, long texts are cut and counted."""

import json
import re
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from gaze_vlm.cli import main
from gaze_vlm.preparation.store import read_clips, write_clips
from gaze_vlm.training.checks import problems
from gaze_vlm.training.configured import configure
from training_files import arguments, error_of

LIMIT = "--model.backbone.init_args.max_target_tokens"


def with_text(store: Path, to: Path, text: str, clips: slice = slice(None)) -> Path:
    """A copy of a store some of whose clips have another activity."""
    copytree(store, to)
    records = read_clips(to / "clips.parquet")
    records[clips] = [replace(record, activity_text=text) for record in records[clips]]
    write_clips(to / "clips.parquet", records)
    return to


@pytest.mark.parametrize("text", ["cut <image> cup", "take </s> cup"])
def test_special_tokens_are_refused_by_clip(
    text: str, tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store = with_text(prepared, tmp_path / "store", text, slice(1, 3))
    named = ", ".join(record.clip_id for record in read_clips(store / "clips.parquet")[1:3])
    options = arguments(tmp_path / "run", tiny_llava, store)
    assert main(["fit", *options]) == 1
    refused = error_of(capsys).removeprefix("gaze-vlm fit: error: ")
    assert refused.startswith("the texts of 2 clips hold special tokens")
    assert f"({text.split()[1]}): {named} {text!r}. Change" in refused
    assert main(["doctor", *options]) == 1
    assert f"\n! {refused}\n" in capsys.readouterr().out


def test_special_tokens_of_a_question(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    options = [*arguments(tmp_path, tiny_llava, prepared), "--data.prompts={activity: 'What <image> is it?'}"]
    texts = [problem.text for problem in problems(configure(options).training)[0]]
    assert any("data.prompts.activity is 'What <image> is it?' and holds <image>" in text for text in texts)


def test_a_batch_names_the_clip(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    """`test` and `predict` serve clips that no check has seen."""
    cli = configure(arguments(tmp_path, tiny_llava, with_text(prepared, tmp_path / "store", "cut <image> cup")))
    cli.model.backbone.load(weights=False)
    cli.datamodule.setup("test")
    clip = cli.datamodule.datasets["test"][0]
    with pytest.raises(ValueError, match=rf"clip {clip.clip_id}: its text 'cut <image> cup' holds <image>"):
        cli.model.backbone.collator()([clip])


def test_a_long_text_is_cut_and_counted(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    long = " ".join(["cut", "red", "cup"] * 60)
    store = with_text(prepared, tmp_path / "store", long, slice(0, 2))
    training = configure([*arguments(tmp_path, tiny_llava, store), f"{LIMIT}=40"]).training
    found, _ = problems(training)
    (problem,) = [problem for problem in found if "max_target_tokens" in problem.text]
    assert not problem.fatal
    assert problem.text.startswith("the texts of 2 clips, such as P01-R01-Pizza-")
    backbone = training.module.backbone
    backbone.load(weights=False)
    collator = backbone.collator()
    end = collator.processor.tokenizer.eos_token_id
    whole = collator.answer_ids(*collator.render("", long, 4))
    _, answer = collator.tokenize("what is it ?", long, [1.0, 2.0, 3.0, 4.0])
    assert len(whole) >= 181
    assert answer == [*whole[:39], end]
    for length, is_cut in ((len(whole), False), (len(whole) - 1, True)):
        collator.max_target_tokens = length
        assert collator.is_cut(long) == is_cut
        assert (collator.tokenize("", long, [1.0, 2.0])[1] == whole) != is_cut


@pytest.mark.parametrize(
    ("text", "option", "said"),
    [
        (
            "cut gizmo",
            "max_new_tokens=32",
            r"the texts of 2 clips, such as P01\S+ 'cut gizmo', have words that the model's",
        ),
        (
            "cut red cup",
            "max_new_tokens=3",
            r"the texts of \d+ clips, such as P01\S+ 'cut red cup', are longer .* to 5",
        ),
    ],
)
def test_texts_that_the_model_cannot_answer_are_counted(
    text: str, option: str, said: str, tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    options = [*arguments(tmp_path, tiny_llava, prepared), f"--model.backbone.init_args.{option}"]
    as_it_is = {problem.text for problem in problems(configure(options).training)[0]}
    store = with_text(prepared, tmp_path / "store", text, slice(0, 2))
    options = [*arguments(tmp_path, tiny_llava, store), f"--model.backbone.init_args.{option}"]
    found = [problem for problem in problems(configure(options).training)[0] if problem.text not in as_it_is]
    assert any(re.match(said, problem.text) and not problem.fatal for problem in found), found


def test_a_clip_longer_than_the_models_context_is_refused(tiny_llava: Path, prepared: Path, tmp_path: Path) -> None:
    short = copytree(tiny_llava, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 20
    (short / "config.json").write_text(json.dumps(config))
    cli = configure(arguments(tmp_path / "run", short, prepared))
    found, _ = problems(cli.training)
    assert any(
        problem.fatal and re.search(r"frames with the longest text is \d+ tokens long .* model takes 20", problem.text)
        for problem in found
    ), found
    cli.datamodule.setup("test")
    with pytest.raises(
        ValueError, match=r"clip P\S+ is \d+ tokens long with its frames, of which the model takes 20: "
    ):
        cli.model.backbone.collator()([cli.datamodule.datasets["test"][0]])


def test_no_room_for_a_text(tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["doctor", *arguments(tmp_path, tiny_llava, prepared), f"{LIMIT}=1"]) != 0
    assert "max_target_tokens is 1; expected 2 or more" in capsys.readouterr().err


def test_texts_that_the_sentence_encoder_does_not_know_are_counted(
    tiny_llava: Path, prepared: Path, tmp_path: Path
) -> None:
    store = with_text(prepared, tmp_path / "store", "切菜" * 60, slice(0, 2))
    found, _ = problems(configure(arguments(tmp_path, tiny_llava, store)).training)
    (problem,) = [problem for problem in found if "sentence encoder" in problem.text]
    assert not problem.fatal
    assert re.match(rf"the texts of 2 clips, such as P01-R01-Pizza-\d+ '{'切菜' * 39}切…', ", problem.text)
    for text, said in (("cut red cup", ""), ("режет лук", r"the texts of 2 clips, .* 'режет лук', are not in Latin")):
        store = with_text(prepared, tmp_path / text, text, slice(0, 2))
        found, _ = problems(configure(arguments(tmp_path, tiny_llava, store)).training)
        assert re.match(said or "$", "".join(one.text for one in found if "sentence encoder" in one.text))
