"""What the Qwen family alone does; the rest is in test_contract.py."""

from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from backbone_families import FAMILIES, FRAMES, make_backbone, make_batch
from gaze_vlm.backbones.qwen_vl import sequence_positions
from gaze_vlm.backbones.tiny_llava import save
from gaze_vlm.gaze.view import Grid

QWEN2_5 = next(family for family in FAMILIES if family.name == "qwen2.5-vl")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    save(*QWEN2_5.build(), folder)
    return folder


@pytest.fixture(scope="module")
def model() -> Qwen2_5_VLForConditionalGeneration:
    return QWEN2_5.build()[0]


@pytest.mark.parametrize("rows", [2, 4, 6, 10])
@pytest.mark.parametrize("columns", [2, 4, 8, 14])
def test_sequence_positions_are_the_librarys(
    model: Qwen2_5_VLForConditionalGeneration, rows: int, columns: int
) -> None:
    """Each patch goes through the library's image processor and vision tower marked with its own number."""
    grid, marks = Grid(rows, columns), []
    image = torch.arange(rows * columns).reshape(rows, columns).repeat_interleave(4, 0).repeat_interleave(4, 1)
    processor = QWEN2_5.build()[1].image_processor
    made = processor([image.expand(3, -1, -1)], do_resize=False, do_rescale=False, do_normalize=False)
    tower = model.model.visual
    tower.blocks[0].register_forward_pre_hook(lambda _, inputs: marks.append(inputs[0][:, 0]))
    weight = torch.zeros_like(tower.patch_embed.proj.weight)
    weight[0, 0, 0, 0, 0] = 1
    tower.patch_embed.proj.weight.data = weight
    tower(made["pixel_values"].float(), grid_thw=made["image_grid_thw"])
    order = marks[0].round().long().tolist()
    assert [order.index(patch) for patch in range(rows * columns)] == sequence_positions(grid, merge=2, window=4)


@pytest.mark.parametrize(("output", "step"), [("modulate", 4), ("append", 5), ("pool", 1)])
def test_patches_have_positions_in_the_image_and_other_tokens_those_of_text(
    checkpoint: Path, output: str, step: int
) -> None:
    """3 × 4 patches take 4 positions of the sequence (their longer side), a pooled or appended token takes 1."""
    backbone = make_backbone(QWEN2_5, checkpoint, output)
    inputs = backbone.prepare(make_batch(backbone, 1).prompts)
    of_rope = {name: inputs[name] for name in ("input_ids", "image_grid_thw", "mm_token_type_ids", "attention_mask")}
    positions, _ = backbone.hf.model.get_rope_index(**of_rope)
    text_and_marks = int((inputs["input_ids"] != backbone.visual_token).sum())
    assert positions.max() + 1 == text_and_marks + FRAMES * step
    if output == "modulate":
        first = int((inputs["input_ids"][0] == backbone.visual_token).int().argmax())
        rows, columns = (positions[1:, 0, first : first + 12] - first).tolist()
        assert rows == [0] * 4 + [1] * 4 + [2] * 4
        assert columns == [0, 1, 2, 3] * 3


def test_any_legal_frame_size_is_taken(checkpoint: Path) -> None:
    make = partial(make_backbone, QWEN2_5, checkpoint, "modulate")
    for size, grid in (((40, 8), Grid(5, 1)), ((8, 56), Grid(1, 7)), (None, Grid(12, 12))):
        backbone = make(frame_size_px=size)
        assert backbone.grid == grid
        assert backbone(make_batch(backbone, 1)).attention.log_probs.shape[-1] == len(grid)
