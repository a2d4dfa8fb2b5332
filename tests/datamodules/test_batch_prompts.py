"""A batch's prompts, as generation reads them."""

import torch

from gaze_vlm.datamodules.clip import IGNORED, Batch


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
