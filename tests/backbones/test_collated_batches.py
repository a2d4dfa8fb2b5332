"""Batches: their prompts, and what is kept from one to the next, which changes nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gaze_vlm.backbones.llava import Llava
from gaze_vlm.datamodules.clip import IGNORED, Batch
from gaze_vlm.datamodules.clips import ClipDataModule


@pytest.fixture
def backbone(tiny_llava: Path) -> Llava:
    made = Llava(str(tiny_llava))
    made.load()
    return made


def test_prompts_are_the_inputs_without_the_answers() -> None:
    """Of different lengths, padded on the left; the longest prompt need not have the longest answer."""
    ids = torch.tensor([[0, 0, 1, 2, 8, 9], [1, 2, 3, 4, 5, 9], [0, 0, 0, 3, 8, 9]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]])
    labels = torch.full_like(ids, IGNORED)
    for row, answer in zip(labels, (2, 1, 2), strict=True):
        row[-answer:] = 9
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    none = torch.zeros(3, 0)
    batch = Batch(inputs, 7, {}, None, none[..., None], none.bool(), [], none.sum())
    assert batch.prompts["input_ids"].tolist() == [[7, 7, 7, 1, 2], [1, 2, 3, 4, 5], [7, 7, 7, 7, 3]]
    assert batch.prompts["attention_mask"].tolist() == [[0, 0, 0, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]]


def test_what_is_kept_changes_no_batch(backbone: Llava, prepared: Path) -> None:
    """Clips in memory and texts of samples, in a first epoch and in a second."""
    batches = []
    for cached_clips in (0, 100):
        data = ClipDataModule(prepared, cached_clips=cached_clips)
        data.setup("fit")
        dataset, collator = data.datasets["train"], backbone.collator()
        dataset.prepare_for(collator.pixel_values, None)
        batches += [collator(dataset.__getitems__(range(6))) for _ in range(2)]
    first, *others = ([*one.inputs.values(), *one.visual.values(), one.gaze, one.valid] for one in batches)
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_question_is_written_once(backbone: Llava, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the chat template, of as many frames; each answer once, too."""
    collator, written = backbone.collator(), []
    own = collator.processor.apply_chat_template

    def counted(messages: list[Any], **options: Any) -> Any:
        written.append(len(messages))
        return own(messages, **options)

    monkeypatch.setattr(collator.processor, "apply_chat_template", counted)
    for _ in range(2):
        for target in ("cut onion", "wash red cup"):
            for time_s in (0.5, 0.6):
                collator.tokenize("What is the camera wearer doing?", target, [time_s, 1.0])
    assert written.count(1) == 1
    assert written.count(2) == 4
