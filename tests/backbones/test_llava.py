from functools import partial
from pathlib import Path

import pytest
import torch

from gaze_vlm.attention import GazeBlock
from gaze_vlm.attention.capture import AttentionCapture
from gaze_vlm.backbones import Llava
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid

FRAMES = 3


def make(checkpoint: Path, output: str | None = "modulate", **options) -> Llava:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    block = None if output is None else partial(GazeBlock, heads=2, head_width=8, output=output)  # type: ignore[arg-type]
    backbone = Llava(str(checkpoint), block=block, max_new_tokens=4, **options)
    backbone.load()
    return backbone


def clip(seed: int, target: str = "cut onion") -> Clip:
    draw = torch.Generator().manual_seed(seed)
    return Clip(
        clip_id=f"clip{seed}",
        video_id="video",
        session="video",
        task="activity",
        frames=torch.randint(0, 256, (FRAMES, 3, 60, 80), dtype=torch.uint8, generator=draw),
        gaze=GazeMixture(torch.rand(FRAMES, 4, 2, generator=draw), torch.ones(FRAMES, 4), 0.02, 4 / 3),
        prompt="What is the camera wearer doing?",
        target=target,
        verb=None,
        noun=None,
        same_step=True,
        next_starts_in_s=1.0,
    )


def batch_of(backbone: Llava, clips: int = 3) -> Batch:
    targets = ["cut onion", "pick up red cup", "cut red cup"]
    return backbone.collator()([clip(i, targets[i % 3]) for i in range(clips)])


@pytest.mark.parametrize(("output", "tokens"), [("pool", 1), ("mean", 1), ("append", 17), ("modulate", 16), (None, 16)])
def test_forward_and_generate(tiny_llava: Path, output: str | None, tokens: int) -> None:
    backbone = make(tiny_llava, output)
    batch = batch_of(backbone)
    made = backbone(batch)
    assert backbone.grid == Grid(4, 4)
    image = backbone.hf.config.image_token_id
    assert (batch.inputs["input_ids"] == image).sum(1).tolist() == [FRAMES * tokens] * 3
    assert made.tokens == 2 + 4 + 3 + 3  # words, and an end of text each
    if output is None:
        assert made.attention is None
    else:
        assert made.attention is not None
        assert made.attention.log_probs.shape == (3, FRAMES, 2, 16)
    assert len(backbone.generate(batch.prompts)) == 3


def test_cross_entropy_is_the_librarys(tiny_llava: Path) -> None:
    backbone = make(tiny_llava, None)
    batch = batch_of(backbone)
    made = backbone(batch)
    inputs = dict(batch.inputs)
    labels = inputs.pop("labels")
    loss = backbone.hf(**backbone.prepare(inputs), labels=labels).loss
    assert (made.cross_entropy.sum() / made.tokens).item() == pytest.approx(loss.item(), rel=1e-5)


def test_tokens_are_the_processors_own(tiny_llava: Path) -> None:
    backbone = make(tiny_llava, None)
    prompt, _ = backbone.collator().tokenize("What is the camera wearer doing?", "cut onion", 1)
    text, _ = backbone.collator().render("What is the camera wearer doing?", "cut onion", 1)
    image = torch.zeros(3, 48, 48, dtype=torch.uint8)
    assert prompt == backbone.processor(images=image, text=text)["input_ids"][0]


@pytest.mark.parametrize("output", ["pool", "append", "modulate"])
def test_generation_takes_no_gaze(tiny_llava: Path, output: str) -> None:
    backbone = make(tiny_llava, output)
    batch = batch_of(backbone)
    logits, answers = backbone(batch).cross_entropy, backbone.generate(batch.prompts)
    batch.gaze, batch.valid = torch.full_like(batch.gaze, float("nan")), torch.zeros_like(batch.valid)
    assert torch.equal(backbone(batch).cross_entropy, logits)
    assert backbone.generate(batch.prompts) == answers
    assert "gaze" not in {*batch.prompts, *batch.inputs}


def test_batched_generation_equals_single(tiny_llava: Path) -> None:
    backbone = make(tiny_llava, "append")
    clips = [clip(0), clip(1)]
    clips[1].prompt = "What will the camera wearer do next?"  # longer: the other is padded
    collator = backbone.collator()
    together = backbone.generate(collator(clips).prompts)
    assert together == [backbone.generate(collator([one]).prompts)[0] for one in clips]


@pytest.mark.parametrize("xy", [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.62, 0.4), (0.4, 0.88)])
def test_a_bright_square_moves_the_tokens_of_its_cell(tiny_llava: Path, xy: tuple[float, float]) -> None:
    """Gaze at (x, y) and a square at (x, y) meet in the same cell."""
    backbone = make(tiny_llava, None)
    dark = clip(0)
    dark.frames = torch.zeros(FRAMES, 3, 60, 80, dtype=torch.uint8)
    lit = clip(0)
    lit.frames = dark.frames.clone()
    x, y = round(xy[0] * 80), round(xy[1] * 60)
    lit.frames[1, :, max(0, y - 2) : y + 2, max(0, x - 2) : x + 2] = 255
    lit.gaze = GazeMixture(torch.tensor([[xy]] * FRAMES), torch.ones(FRAMES, 1), 0.005, 4 / 3)
    batch = backbone.collator()([dark, lit])
    # The patch embedding: behind it, attention carries the change everywhere.
    embedding = backbone.hf.model.vision_tower.embeddings
    dark_tokens, lit_tokens = (embedding(pixels)[1, 1:] for pixels in batch.inputs["pixel_values"])
    moved = (dark_tokens - lit_tokens).norm(dim=-1)
    assert int(moved.argmax()) == int(batch.gaze[1, 1].argmax())


def test_visual_tokens_keep_the_order_of_the_patches(tiny_llava: Path) -> None:
    """What the seam hands to the block, and what the language model reads, are the tower's patches in row order."""
    backbone = make(tiny_llava, "modulate")
    batch = batch_of(backbone, 2)
    seen = []
    assert backbone.block is not None
    backbone.block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(batch)
    pixels = batch.inputs["pixel_values"][1, 2][None]
    features = backbone.hf.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-1][0, 1:]
    assert torch.allclose(seen[0][1, 2], backbone.hf.model.multi_modal_projector(features), atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_captured_attention_is_the_librarys_eager_attention(tiny_llava: Path, layer: int) -> None:
    backbone = make(tiny_llava, None, vit_layer=layer)
    batch = batch_of(backbone)
    attention = backbone(batch).attention
    assert attention is not None
    tower = backbone.hf.model.vision_tower
    tower.set_attn_implementation("eager")
    pixels = batch.inputs["pixel_values"].flatten(0, 1)
    eager = tower(pixels, output_attentions=True).attentions[layer][:, :, 0, 1:]
    eager = (eager / eager.sum(-1, keepdim=True)).unflatten(0, (3, FRAMES))
    assert (attention.log_probs.exp() - eager).abs().max() < 1e-5


def test_vit_attention_of_a_trained_tower_has_a_gradient(tiny_llava: Path) -> None:
    backbone = make(tiny_llava, None, vit_layer=0, train=("vision",))
    attention = backbone(batch_of(backbone)).attention
    assert attention is not None
    attention.log_probs.sum().backward()
    module = backbone.vit_attention_modules()[0]
    assert module.q_proj.weight.grad.ne(0).any()
    frozen = make(tiny_llava, None, vit_layer=0)(batch_of(backbone)).attention
    assert frozen is not None
    assert not frozen.log_probs.requires_grad


def test_capture_is_off_outside_its_context(tiny_llava: Path) -> None:
    backbone = make(tiny_llava, None)
    capture = AttentionCapture(backbone.vit_attention_modules()[0])
    backbone(batch_of(backbone))
    with pytest.raises(RuntimeError, match="no attention was captured"):
        capture.log_probs(class_token=True)


def test_only_the_named_parts_learn(tiny_llava: Path) -> None:
    backbone = make(tiny_llava, "append", train=("projector",))
    learning = {name.split(".")[2] for name, p in backbone.hf.named_parameters() if p.requires_grad} | {
        name.split(".")[0] for name, p in backbone.named_parameters() if p.requires_grad
    }
    assert backbone.block is not None
    assert all(p.requires_grad for p in backbone.block.parameters())
    assert all(p.requires_grad for p in backbone.hf.model.multi_modal_projector.parameters())
    assert not any(p.requires_grad for p in backbone.hf.model.language_model.parameters())
    assert "block" in learning


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model in .*: it has no config.json"):
        make(tmp_path)


def test_a_layer_that_the_model_does_not_use_is_refused(tiny_llava: Path) -> None:
    with pytest.raises(ValueError, match="vit_layer 2: the model uses 2 vision layers, choose from -2 to 1"):
        make(tiny_llava, None, vit_layer=2)


def test_a_frozen_tower_remembers_its_outputs(tiny_llava: Path) -> None:
    plain, cached = make(tiny_llava, "mean"), make(tiny_llava, "mean", cached_frames=7)
    calls = []
    cached.hf.model.vision_tower.embeddings.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    for clips, seen in ((2, 6), (2, 6), (3, 9)):
        batch = batch_of(plain, clips)
        assert torch.allclose(plain(batch).cross_entropy, cached(batch).cross_entropy, atol=1e-5)
        assert sum(calls) == seen  # frames of the third clip alone are new
    with pytest.raises(ValueError, match="take vision out of train"):
        make(tiny_llava, cached_frames=7, train=("vision",))
