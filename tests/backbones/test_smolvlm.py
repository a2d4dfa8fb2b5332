"""What SmolVLM alone does; the rest is in test_contract.py."""

from pathlib import Path

import torch

from backbone_families import FAMILIES, FRAMES, make_backbone, make_batch
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.smolvlm import frames_with_times

SMOLVLM = next(family for family in FAMILIES if family.name == "smolvlm2")


def test_a_frame_of_zeros_is_no_padding(tmp_path: Path) -> None:
    """Black, to a processor that neither shifts nor scales."""
    model, processor = SMOLVLM.build()
    processor.video_processor.do_normalize = False
    save_checkpoint(model, processor, tmp_path)
    backbone = make_backbone(SMOLVLM, tmp_path)
    batch = make_batch(backbone)
    batch.visual["pixel_values"][1, 2] = 0
    black = backbone(batch)
    assert black.attention.log_probs.shape[1] == FRAMES
    batch.visual["pixel_values"][1, 2] = 1e-6
    nearly = backbone(batch)
    assert torch.allclose(black.attention.log_probs, nearly.attention.log_probs, atol=1e-4)
    assert torch.allclose(black.cross_entropy, nearly.cross_entropy, atol=1e-4)


def test_times_are_told_in_minutes_and_seconds() -> None:
    assert frames_with_times("<image>", [1.0, 61.9]) == (
        "You are provided the following series of two frames from a 0:01:01 [H:MM:SS] video.\n"
        "\nFrame from 00:01:<image>\nFrame from 01:01:<image>\n\n"
    )
