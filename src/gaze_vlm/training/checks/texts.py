"""Checks of the target texts against the model's tokenizer."""

from collections.abc import Iterable, Iterator

from gaze_vlm.datamodules.gaze_input import all_written
from gaze_vlm.metrics.sentence_encoder import MiniLM
from gaze_vlm.training.checks.problem import Problem, Training

SHOWN = 5


def special_tokens(training: Training) -> Iterable[Problem]:
    """Check that no text holds a special token, such as `<image>` or `</s>`.

    The text would end there, or ask for another image.
    """
    pattern = training.module.backbone.collator().special_tokens
    for task in training.data.tasks:
        if (found := pattern.search(prompt := training.data.prompts[task])) is not None:
            yield Problem(f"data.prompts.{task} is {prompt!r} and holds {found.group()}, a special token: leave it out")
    clips = {text: clip_ids for text, clip_ids in _clips_by_text(training).items() if pattern.search(text)}
    if clips:
        tokens = sorted({token for text in clips for token in pattern.findall(text)})
        shown = "; ".join(
            f"{', '.join(clip_ids[:SHOWN])}{', …' if len(clip_ids) > SHOWN else ''} {text!r}"
            for text, clip_ids in list(clips.items())[:SHOWN]
        )
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
    texts = _clips_by_text(training)
    if long := [text for text in texts if not collator.special_tokens.search(text) and collator.is_cut(text)]:
        cut = [clip_id for text in long for clip_id in texts[text]]
        yield Problem(
            f"the texts of {len(cut)} clips, such as {cut[0]}, are longer than max_target_tokens = "
            f"{collator.max_target_tokens} and are cut: set the backbone's max_target_tokens to train on them in full",
            fatal=False,
        )


def unknown_words(training: Training) -> Iterable[Problem]:
    """Warn of texts with words that the sentence encoder does not know."""
    encoder = training.module.encoder
    texts = _clips_by_text(training)
    if isinstance(encoder, MiniLM) and (unknown := encoder.unknown([*texts])):
        clips = [clip_id for text in unknown for clip_id in texts[text]]
        yield Problem(
            f"the texts of {len(clips)} clips, such as {clips[0]} {unknown[0]!r}, have words that the sentence encoder "
            "does not know, which is of English: another such text can have a semantic score of 1. Set model.encoder",
            fatal=False,
        )


def _clips_by_text(training: Training) -> dict[str, list[str]]:
    """The ids of the clips that have each text, those of every split that is served; each clip once a text."""
    clips: dict[str, dict[str, None]] = {}
    for clip_id, text in _texts(training):
        clips.setdefault(text, {})[clip_id] = None
    return {text: list(clip_ids) for text, clip_ids in clips.items()}


def _texts(training: Training) -> Iterator[tuple[str, str]]:
    for dataset in training.data.datasets.values():
        for record in dataset.records:
            for task in training.data.tasks:
                yield record.clip_id, record.text(task)
