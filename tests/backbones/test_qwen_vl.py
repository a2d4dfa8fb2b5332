"""What the Qwen family alone does; the rest is in test_contract.py."""

from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from backbone_families import FRAMES, asked, collate, make_backbone, make_batch, make_clip, qwen
from gaze_vlm.backbones import QwenVL, qwen_vl
from gaze_vlm.backbones.layout import sequence_positions
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.gaze.view import Grid

QWEN2_5, QWEN2_5_VIDEO = (qwen("2.5", [2], media) for media in ("image", "video"))
QWEN3_VIDEO = qwen("3", [0, 1, 2], "video", outputs=("modulate",))
where_videos_are_timed = pytest.mark.skipif(not qwen_vl.TIMES_GROUPS, reason="refused with this transformers")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    save_checkpoint(*QWEN2_5.build(), folder)
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


@pytest.mark.parametrize(("output", "tokens"), [("modulate", 4), ("append", 5), ("pool", 1)])
def test_patches_have_positions_in_the_image_and_other_tokens_those_of_text(
    checkpoint: Path, output: str, tokens: int
) -> None:
    """3 × 4 patches take 4 positions of the sequence (their longer side), a pooled or appended token takes 1."""
    backbone = make_backbone(QWEN2_5, checkpoint, output)
    inputs = backbone.prepare(asked(make_batch(backbone, 1)))
    of_rope = {name: inputs[name] for name in ("input_ids", "image_grid_thw", "mm_token_type_ids", "attention_mask")}
    positions, _ = backbone.hf.model.get_rope_index(**of_rope)
    text_and_marks = int((inputs["input_ids"] != backbone.visual_token).sum())
    assert positions.max() + 1 == text_and_marks + FRAMES * tokens
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


@where_videos_are_timed
def test_a_video_halves_the_visual_tokens(checkpoint: Path) -> None:
    as_images, as_video = (make_backbone(family, checkpoint, None) for family in (QWEN2_5, QWEN2_5_VIDEO))
    images, video = (
        int((make_batch(one, 1).inputs["input_ids"] == one.visual_token).sum()) for one in (as_images, as_video)
    )
    assert images == 2 * video == FRAMES * 12


@where_videos_are_timed
def test_an_odd_frame_is_refused_and_the_option_named(checkpoint: Path) -> None:
    collator = make_backbone(QWEN2_5_VIDEO, checkpoint, None).collator()
    with pytest.raises(
        ValueError, match=r"clip clip0 has 3 frames, of which the model takes 2 as one: .*observation_s"
    ):
        collator([make_clip(0, frames=3)])


@where_videos_are_timed
def test_groups_of_a_video_have_positions_by_their_time(checkpoint: Path) -> None:
    backbone = make_backbone(QWEN2_5_VIDEO, checkpoint, None)
    clips = [make_clip(0), make_clip(1)]
    clips[1].frame_times_s = [5 * t for t in clips[1].frame_times_s]
    inputs = backbone.prepare(asked(collate(backbone, clips)))
    names = ("input_ids", "video_grid_thw", "mm_token_type_ids", "attention_mask", "second_per_grid_ts")
    positions, _ = backbone.hf.model.get_rope_index(**{name: inputs[name] for name in names})
    in_time = positions[0][inputs["input_ids"] == backbone.visual_token].unflatten(0, (2, 2, 12))
    per_second = backbone.hf.config.vision_config.tokens_per_second
    assert (in_time[:, 1] - in_time[:, 0]).unique(dim=1).flatten().tolist() == [int(0.8 * per_second), 4 * per_second]


def test_time_stands_in_words_before_each_group(tmp_path: Path) -> None:
    """Once, whether the template writes the marks around a video or leaves them to the processor."""
    save_checkpoint(*QWEN3_VIDEO.build(), tmp_path)
    collator = make_backbone(QWEN3_VIDEO, tmp_path, None).collator()
    group = "<|vision_start|><|video_pad|><|vision_end|>"
    for written in ("<|video_pad|>", group):
        text = collator.with_media(f"user {written} what", make_clip(0).frame_times_s)
        assert text == f"user <0.6 seconds>{group}<1.4 seconds>{group} what"


def test_a_library_that_mistakes_times_is_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen_vl, "TIMES_GROUPS", False)
    with pytest.raises(ValueError, match=r"install 5\.18 or later, or give the backbone `media: image`"):
        QwenVL(str(checkpoint), media="video", frame_size_px=(24, 32)).load(weights=False)
    QwenVL(str(checkpoint), frame_size_px=(24, 32)).load(weights=False)
