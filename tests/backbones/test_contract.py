"""What every model family must hold; what one family alone can do is in test_<family>.py."""

import pickle
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.video_utils import VideoMetadata

from backbone_families import FAMILIES, FRAMES, Family, make_backbone, make_batch, make_clip
from gaze_vlm.attention.capture import AttentionCapture
from gaze_vlm.attention.sources import IGNORED
from gaze_vlm.backbones import Backbone
from gaze_vlm.backbones.tiny_llava import save
from gaze_vlm.checkpoint import learned_state
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid

EAGER, SILENT = "recording_eager", "silent"
recorded: dict[nn.Module, list[Tensor]] = {}


def recording_eager(module: nn.Module, *args, **kwargs):  # type: ignore[no-untyped-def]
    """The library's own eager attention of this model; its weights are kept."""
    output, weights = sys.modules[type(module).__module__].eager_attention_forward(module, *args, **kwargs)
    recorded.setdefault(module, []).append(weights)
    return output, weights


def silent(module: nn.Module, query: Tensor, *args, **kwargs):  # type: ignore[no-untyped-def]
    """No attention: what a patch becomes hangs on that patch alone."""
    return torch.zeros_like(query.transpose(1, 2)), None


AttentionInterface.register(EAGER, recording_eager)
AttentionMaskInterface.register(EAGER, eager_mask)  # without it the library drops the mask silently
AttentionInterface.register(SILENT, silent)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(family.name)
    save(*family.build(), folder)
    return folder


@pytest.fixture(scope="module")
def plain(family: Family, checkpoint: Path) -> Backbone:
    """Without a block; not to be changed."""
    return make_backbone(family, checkpoint, None)


def set_attention(backbone: Backbone, name: str) -> None:
    """Run the vision tower with another attention."""
    (tower,) = backbone.parts()["vision"]
    tower.set_attn_implementation(name)  # type: ignore[operator]


@torch.no_grad()
def run_model(backbone: Backbone, batch: Batch) -> None:
    """The model's own forward pass, nothing captured."""
    backbone.hf(**backbone.prepare(batch.prompts))


class NoModel(pickle.Pickler):
    """Refuses what a loader's worker process must not be sent."""

    def persistent_id(self, obj: object) -> None:
        assert not isinstance(obj, (nn.Module, nn.Parameter))


def test_the_collator_holds_no_model(plain: Backbone) -> None:
    NoModel(BytesIO()).dump(plain.collator())


def test_the_layout(family: Family, plain: Backbone) -> None:
    assert (plain.layout.vit, plain.layout.language) == (family.vit, family.language)
    assert list(plain.vit_attention_modules()) == family.layers


@pytest.mark.parametrize("output", ["pool", "mean", "append", "modulate", None])
def test_forward_and_generate(family: Family, checkpoint: Path, output: str | None) -> None:
    if output not in (*family.outputs, None):
        with pytest.raises(ValueError, match=f"block output is {output}"):
            make_backbone(family, checkpoint, output)
        return
    backbone = make_backbone(family, checkpoint, output)
    batch = make_batch(backbone)
    made = backbone(batch)
    patches = len(family.language)
    tokens = {"pool": 1, "mean": 1, "append": patches + 1}.get(str(output), patches)
    visual = batch.inputs["input_ids"] == backbone.visual_token
    assert visual.sum(1).tolist() == [family.steps * tokens + backbone.tokens_after_clip] * 3
    assert made.tokens == 2 + 4 + 3 + 3  # words, and an end of text each
    if output is None:
        assert made.attention is None
    else:
        assert made.attention.log_probs.shape == (3, family.steps, 2, patches)
        assert torch.allclose(made.attention.log_probs.exp().sum(-1), torch.ones(3, family.steps, 2))
    assert len(backbone.generate(batch.prompts)) == 3


def test_cross_entropy_is_the_librarys(plain: Backbone) -> None:
    batch = make_batch(plain)
    made = plain(batch)
    inputs = dict(batch.inputs)
    labels = inputs.pop("labels")
    loss = plain.hf(**plain.prepare(inputs), labels=labels).loss
    assert (made.cross_entropy.sum() / made.tokens).item() == pytest.approx(loss.item(), rel=1e-5)


def test_inputs_are_the_processors_own(plain: Backbone) -> None:
    clip, collator = make_clip(0), plain.collator()
    question, _ = collator.render(clip.prompt, clip.target, FRAMES)
    frames = plain.view.pixels(clip.frames, *plain.frame_size_px)
    media: dict[str, Any] = {"images": list(frames)}
    if plain.media == "video":
        rate_hz = 1 / (clip.frame_times_s[1] - clip.frame_times_s[0])
        times = {"fps": rate_hz, "frames_indices": [1, 2, 3, 4], "total_num_frames": FRAMES}
        media = {"videos": [frames], "video_metadata": [VideoMetadata(**times)]}
    own = plain.processor(**media, text=question, return_tensors="pt", **collator.image_options)
    ours = plain.prepare(collator([clip]).prompts)
    for name, value in own.items():
        assert torch.allclose(torch.as_tensor(value), ours[name]), name


def test_an_answer_ends_with_one_end_of_text(plain: Backbone) -> None:
    collator, tokenizer = plain.collator(), plain.processor.tokenizer
    times_s = make_clip(0).frame_times_s
    question, _ = collator.render("What is the camera wearer doing?", "cut onion", FRAMES)
    _, answer = collator.tokenize("What is the camera wearer doing?", "cut onion", times_s)
    collator.render = lambda *_: (question, f"cut onion {tokenizer.eos_token} what")  # type: ignore[method-assign]
    assert collator.tokenize("", "", times_s)[1] == answer
    assert tokenizer.decode(answer).split() == ["cut", "onion", tokenizer.eos_token]


def test_generation_takes_no_gaze(family: Family, checkpoint: Path) -> None:
    for output in family.outputs:
        backbone = make_backbone(family, checkpoint, output)
        batch = make_batch(backbone)
        logits, answers = backbone(batch).cross_entropy, backbone.generate(batch.prompts)
        batch.gaze, batch.valid = torch.full_like(batch.gaze, float("nan")), torch.zeros_like(batch.valid)
        assert torch.equal(backbone(batch).cross_entropy, logits)
        assert backbone.generate(batch.prompts) == answers
        assert "gaze" not in {*batch.prompts, *batch.inputs}


def test_batched_generation_equals_single(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1])
    clips = [make_clip(0), make_clip(1)]
    clips[1].prompt = "What will the camera wearer do next?"  # longer: the other is padded
    collator = backbone.collator()
    together = backbone.generate(collator(clips).prompts)
    assert together == [backbone.generate(collator([one]).prompts)[0] for one in clips]


def lit_clips(grid: Grid, covered: float, frames_per_step: int) -> tuple[Clip, Clip]:
    """A dark clip, and one with a small bright square in the middle of another cell in each step, and gaze on it.
    The grid covers a share of the frame."""
    height, width, frames = 240, 320, len(grid) * frames_per_step
    dark, lit = make_clip(0, frames=frames), make_clip(0, frames=frames)
    dark.frames = torch.zeros(frames, 3, height, width, dtype=torch.uint8)
    lit.frames = dark.frames.clone()
    cells = torch.cartesian_prod(torch.arange(grid.rows), torch.arange(grid.columns))
    cells = cells.repeat_interleave(frames_per_step, dim=0)
    centres = covered * (cells + 0.5) / torch.tensor([grid.rows, grid.columns])
    for frame, (y, x) in zip(lit.frames, centres.tolist(), strict=True):
        dy, dx = height // grid.rows // 4, width // grid.columns // 4
        frame[:, int(y * height) - dy : int(y * height) + dy, int(x * width) - dx : int(x * width) + dx] = 255
    lit.gaze = GazeMixture(rearrange(centres.flip(1), "frame xy -> frame 1 xy"), torch.ones(frames, 1), 0.005, 4 / 3)
    return dark, lit


@pytest.mark.parametrize("source", ["vit", "block"])
def test_a_bright_square_moves_the_cell_that_gaze_falls_in(family: Family, checkpoint: Path, source: str) -> None:
    """In every cell, on the vision tower's grid and on that of the language model's visual tokens."""
    backbone = make_backbone(
        family, checkpoint, None if source == "vit" else "modulate", vit_layers=(-1,) if source == "vit" else ()
    )
    set_attention(backbone, SILENT)
    seen: list[Tensor] = []
    at = family.first_layer(backbone.hf) if source == "vit" else backbone.block
    at.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    cells = len(backbone.grid)
    batch = backbone.collator()(list(lit_clips(backbone.grid, backbone.layout.covered, family.frames_per_step)))
    run_model(backbone, batch)
    tokens = seen[0].reshape(2, cells, -1, seen[0].shape[-1])
    if source == "vit":
        tokens = tokens[:, :, 1:] if backbone.has_class_token else tokens
        tokens = tokens if backbone.patch_positions is None else tokens[:, :, backbone.patch_positions]
    moved = (tokens[1] - tokens[0]).norm(dim=-1)
    assert batch.valid.all()
    assert batch.gaze[1].argmax(-1).tolist() == list(range(cells))
    assert moved.argmax(-1).tolist() == list(range(cells))


def eager_weights(backbone: Backbone, tower: str, modules: list[nn.Module]) -> list[Tensor]:
    """What the library's own eager attention weighs in these modules, for the batch of `make_batch`."""
    recorded.clear()
    if tower == "vision":
        set_attention(backbone, EAGER)
    else:
        backbone.parts()["language"][0].set_attn_implementation(EAGER)  # type: ignore[operator]
    inputs = dict(make_batch(backbone).inputs)
    inputs.pop("labels")
    with torch.no_grad():
        backbone.hf(**backbone.prepare(inputs))
    return [torch.cat(recorded[module]) for module in modules]


def sharpen(modules: list[nn.Module], factor: float) -> None:
    """Random attention is even, which would hide a wrong order."""
    with torch.no_grad():
        for module in modules:
            for p in module.parameters():
                p.mul_(factor)


def test_vit_attention_is_the_librarys_eager_attention(family: Family, checkpoint: Path) -> None:
    """All layers at once, beside each other as heads."""
    backbone = make_backbone(family, checkpoint, None, vit_layers=tuple(family.layers))
    modules = list(backbone.vit_attention_modules().values())
    sharpen(modules, 12)
    attention = backbone(make_batch(backbone)).attention.log_probs.exp()
    assert attention.amax(-1).mean() > 2 / len(family.vit)
    for captured, weights in zip(
        attention.chunk(len(modules), dim=2), eager_weights(backbone, "vision", modules), strict=True
    ):
        eager = weights[:, :, 0, 1:] if backbone.has_class_token else weights.mean(2)
        eager = eager / eager.sum(-1, keepdim=True)
        if backbone.patch_positions is not None:
            eager = eager[..., backbone.patch_positions]
        assert (captured - eager.unflatten(0, (3, family.steps))).abs().max() < 1e-5


def test_language_attention_is_the_librarys_eager_attention(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, None, language_layers=(0, -1))
    modules = list(backbone.language_attention_modules().values())
    sharpen(modules, 2)
    batch = make_batch(backbone)
    attention = backbone(batch).attention.log_probs.exp()
    patches = len(family.language)
    assert attention.amax(-1).mean() > 2 / patches
    for captured, weights in zip(attention.chunk(2, dim=2), eager_weights(backbone, "language", modules), strict=True):
        for sample, (ids, labels) in enumerate(zip(batch.inputs["input_ids"], batch.inputs["labels"], strict=True)):
            first_word = int((labels != IGNORED).int().argmax())
            rows = weights[sample][:, first_word - 1 : -1]  # the last word before the answer predicts its first
            visual = (ids == backbone.visual_token).nonzero()[: family.steps * patches, 0]
            eager = rows[..., visual].unflatten(-1, (family.steps, patches))
            eager = (eager / eager.sum(-1, keepdim=True)).mean(1)
            assert (captured[sample] - eager.transpose(0, 1)).abs().max() < 1e-5


def test_named_heads_alone_are_handed_over(family: Family, checkpoint: Path) -> None:
    layer = family.layers[-1]
    for source in ({"vit_layers": (layer,)}, {"language_layers": (1,)}, {"output": family.outputs[-1]}):
        backbone = make_backbone(family, checkpoint, **{"output": None, **source})
        both = backbone(make_batch(backbone)).attention.log_probs
        one = make_backbone(family, checkpoint, **{"output": None, **source}, heads=(1,))
        assert torch.equal(one(make_batch(one)).attention.log_probs, both[:, :, 1:2])
        without = make_backbone(family, checkpoint, **{"output": None, **source}, heads=(5,))
        with pytest.raises(ValueError, match=r"heads \[5\]: the attention has [24] heads"):
            without(make_batch(without))


def test_capture_is_off_outside_its_context(plain: Backbone) -> None:
    capture = AttentionCapture(list(plain.vit_attention_modules().values()))
    plain(make_batch(plain))
    with pytest.raises(RuntimeError, match="no attention was captured"):
        capture.take()


def test_frozen_modules_remember_what_they_made(family: Family, checkpoint: Path) -> None:
    output = family.outputs[-1]
    if family.name.startswith("qwen3-vl"):
        with pytest.raises(ValueError, match="DeepStack goes past them: set it to 0"):
            make_backbone(family, checkpoint, output, train=("language",), cached_frames=20)
        return
    plain = make_backbone(family, checkpoint, output, train=("language",))
    cached = make_backbone(family, checkpoint, output, train=("language",), cached_frames=20)
    calls: list[int] = []
    family.first_layer(cached.hf).register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].numel()))
    for clips in (2, 2, 3):
        batch = make_batch(plain, clips)
        assert torch.allclose(plain(batch).cross_entropy, cached(batch).cross_entropy, atol=1e-5)
    once = sum(calls)
    cached(make_batch(plain, 3))
    assert sum(calls) == once
    with pytest.raises(ValueError, match="out of train"):
        make_backbone(family, checkpoint, output, train=("vision",), cached_frames=20)


def reached(module: nn.Module) -> bool:
    return any(p.grad is not None and p.grad.ne(0).any() for p in module.parameters())


def test_gradients_reach_what_learns(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1], train=("vision", "projector", "language"))
    made = backbone(make_batch(backbone))
    (made.cross_entropy.sum() + made.attention.log_probs[..., 0].sum()).backward()
    for part, modules in backbone.parts().items():
        assert all(reached(module) for module in modules), part
    assert all(reached(module) for module in backbone.block.attentions)


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated")
def test_vit_attention_of_a_trained_tower_has_a_gradient(family: Family, checkpoint: Path) -> None:
    gradients = []
    for checkpointing in (False, True):
        backbone = make_backbone(family, checkpoint, None, vit_layers=(-1,), train=("vision",))
        if checkpointing:
            backbone.hf.gradient_checkpointing_enable({"use_reentrant": False})
        backbone(make_batch(backbone)).attention.log_probs[..., 0].sum().backward()
        assert reached(list(backbone.vit_attention_modules().values())[-1])
        gradients.append([p.grad for p in backbone.parts()["vision"][0].parameters() if p.grad is not None])
    for kept, recomputed in zip(*gradients, strict=True):
        assert torch.allclose(kept, recomputed, atol=1e-5)


def test_a_frozen_tower_gives_its_attention_no_gradient(family: Family, checkpoint: Path) -> None:
    frozen = make_backbone(family, checkpoint, None, vit_layers=(-1,))
    assert not frozen(make_batch(frozen)).attention.log_probs.requires_grad


def test_only_the_named_parts_learn(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, train=("projector",))
    projector = {id(p) for module in backbone.parts()["projector"] for p in module.parameters()}
    assert {id(p) for p in backbone.hf.parameters() if p.requires_grad} == projector
    assert all(p.requires_grad for p in backbone.block.parameters())


def test_what_learned_is_saved_and_loaded(family: Family, checkpoint: Path, tmp_path: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1])
    batch = make_batch(backbone)
    with torch.no_grad():
        for p in backbone.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn_like(p))
    torch.save(learned_state(backbone), tmp_path / "learned.pt")  # type: ignore[arg-type]
    fresh = make_backbone(family, checkpoint, family.outputs[-1])
    assert not torch.allclose(fresh(batch).cross_entropy, backbone(batch).cross_entropy)
    fresh.load_state_dict(torch.load(tmp_path / "learned.pt", weights_only=True), strict=False)
    assert torch.equal(fresh(batch).cross_entropy, backbone(batch).cross_entropy)
    assert torch.equal(fresh(batch).attention.log_probs, backbone(batch).attention.log_probs)
    assert fresh.generate(batch.prompts) == backbone.generate(batch.prompts)


def test_another_frame_size_is_refused_and_the_legal_ones_named(family: Family, checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=family.legal):
        make_backbone(family, checkpoint, frame_size_px=family.wrong_size_px)


def test_a_layer_that_cannot_be_taken_is_refused(family: Family, checkpoint: Path) -> None:
    layers = ", ".join(map(str, family.layers))
    with pytest.raises(ValueError, match=f"vit_layers 7: .* {layers}, or -{len(family.layers)} to -1"):
        make_backbone(family, checkpoint, None, vit_layers=(7,))


def test_half_weights_run_under_autocast(family: Family, checkpoint: Path) -> None:
    for output, source in (
        (family.outputs[-1], {}),
        (None, {"vit_layers": (-1,)}),
        (None, {"language_layers": (-1,)}),
    ):
        backbone = make_backbone(family, checkpoint, output, dtype="bfloat16", **source)
        assert {p.dtype for p in backbone.hf.parameters()} == {torch.bfloat16}
        batch = make_batch(backbone)
        with torch.autocast("cpu", torch.bfloat16):
            made = backbone(batch)
            assert len(backbone.generate(batch.prompts)) == 3
        assert made.cross_entropy.dtype == made.attention.log_probs.dtype == torch.float32
        assert made.cross_entropy.isfinite().all()
        assert torch.allclose(made.attention.log_probs.exp().sum(-1), torch.ones(()), atol=1e-5)
