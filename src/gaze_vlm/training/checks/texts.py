"""Checks of the target texts against the model's tokenizer."""

from collections.abc import Iterable, Mapping, Sequence

from gaze_vlm.datamodules.gaze_input import all_written
from gaze_vlm.errors import first_of, shortened
from gaze_vlm.foreign_text import visible
from gaze_vlm.metrics.sentence_encoder import MiniLM
from gaze_vlm.training.checks.problem import Problem, Training

SHOWN, LETTERS = 5, 80  # clips of a message, and letters of a text in it


def special_tokens(training: Training) -> Iterable[Problem]:
    """Check that no text holds a special token, such as `<image>` or `</s>`.

    The text would end there, or ask for another image.
    """
    pattern = training.module.backbone.collator().special_tokens
    for task in training.data.tasks:
        if (found := pattern.search(prompt := training.data.prompts[task])) is not None:
            token = visible(found.group(), keep="")
            yield Problem(f"data.prompts.{task} is {prompt!r} and holds {token}, a special token: leave it out")
    clips = {text: clip_ids for text, clip_ids in training.clips_by_text.items() if pattern.search(text)}
    if clips:
        tokens = sorted({visible(token, keep="") for text in clips for token in pattern.findall(text)})
        shown = "; ".join(f"{first_of(clip_ids, SHOWN)} {text!r}" for text, clip_ids in list(clips.items())[:SHOWN])
        yield Problem(
            f"the texts of {sum(map(len, clips.values()))} clips hold special tokens of the model's tokenizer "
            f"({', '.join(tokens)}): {shown}{'; …' if len(clips) > SHOWN else ''}. Change these texts in the data set "
            "and prepare it again"
        )


def gaze_is_read(training: Training) -> Iterable[Problem]:
    """Check that the tokenizer tells the places apart that gaze is written as.

    One of whole words has no numbers.
    """
    form, tokenizer = training.data.gaze_input, training.module.backbone.collator().processor.tokenizer
    texts = all_written(form)
    distinct = {tuple(tokenizer(text)["input_ids"]) for text in texts}
    if len(distinct) < len(texts):
        yield Problem(
            f"data.gaze_input is {form}, and the model's tokenizer reads {len(texts)} places of gaze as "
            f"{len(distinct)}: it lacks their words; set it to {'drawn' if form == 'words' else 'words or drawn'}"
        )


def long_texts(training: Training) -> Iterable[Problem]:
    """Warn of texts that are too long to be trained on in full."""
    collator = training.module.backbone.collator()
    clips = training.clips_by_text
    if long := [text for text in clips if not collator.special_tokens.search(text) and collator.is_cut(text)]:
        yield Problem(
            f"{_counted(clips, long)} are longer than max_target_tokens = {collator.max_target_tokens} and are cut: "
            "set the backbone's max_target_tokens to train on them in full",
            fatal=False,
        )


def texts_of_the_model(training: Training) -> Iterable[Problem]:
    """Warn of texts that the model's tokenizer has no words for, and of those that its answers have no room for."""
    backbone = training.module.backbone
    tokenizer, longest = backbone.collator().processor.tokenizer, backbone.options.max_new_tokens
    clips = training.clips_by_text
    ids: list[list[int]] = tokenizer([*clips], add_special_tokens=False)["input_ids"] if clips else []
    unknown = [text for text, of in zip(clips, ids, strict=True) if tokenizer.unk_token_id in of]
    if unknown and tokenizer.unk_token_id is not None:
        yield Problem(
            f"{_counted(clips, unknown)} have words that the model's tokenizer does not know, in place of which it "
            f"learns to answer {visible(tokenizer.unk_token)}: choose another model",
            fatal=False,
        )
    # With its end, an answer has one token more.
    if long := [text for text, of in zip(clips, ids, strict=True) if len(of) + 1 > longest]:
        most = max(map(len, ids)) + 1
        yield Problem(
            f"{_counted(clips, long)} are longer than the longest answer, max_new_tokens = {longest}: answers are cut "
            f"there, and score less; set the backbone's max_new_tokens to {most}",
            fatal=False,
        )


def unknown_words(training: Training) -> Iterable[Problem]:
    """Warn of texts with words that the sentence encoder does not know, or spells."""
    encoder = training.module.encoder
    clips = training.clips_by_text
    if not isinstance(encoder, MiniLM):
        return
    if unknown := encoder.unknown([*clips]):
        yield Problem(
            f"{_counted(clips, unknown)} have words that the sentence encoder does not know, which is of English: "
            "another such text can have a semantic score of 1. Set model.encoder",
            fatal=False,
        )
    if spelled := encoder.spelled([text for text in clips if text not in unknown]):
        yield Problem(
            f"{_counted(clips, spelled)} are not in Latin letters, which the sentence encoder reads one by one, for it "
            "is of English: semantic and BERTScore compare their spelling more than their meaning. Set model.encoder",
            fatal=False,
        )


def _counted(clips: Mapping[str, list[str]], texts: Sequence[str]) -> str:
    """How many clips have one of the texts, with the first."""
    count = sum(len(clips[text]) for text in texts)
    return f"the texts of {count} clips, such as {clips[texts[0]][0]} {shortened(texts[0], LETTERS)!r},"
