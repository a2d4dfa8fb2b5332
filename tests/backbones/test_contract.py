"""What every model family must hold; what one family alone can do is in test_<family>.py."""

import json
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.video_utils import VideoMetadata

from backbone_checks import language_difference, moved_cells, visual_positions, vit_difference
from backbone_families import DEVICE, FRAMES, Family, asked, collate, make_backbone, make_batch, make_clip
from gaze_vlm.attention.sources import Tower
from gaze_vlm.backbones import Backbone, Lora
from gaze_vlm.backbones.kept_features import features_identity
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.training.checkpoint import trainable_state


@pytest.fixture(scope="module")
def plain(family: Family, checkpoint: Path) -> Backbone:
    """Without a block; not to be changed."""
    return make_backbone(family, checkpoint, None)


class NoModel(pickle.Pickler):
    """Refuses what a loader's worker process must not be sent."""

    def persistent_id(self, obj: object) -> None:
        assert not isinstance(obj, (nn.Module, nn.Parameter))


def test_the_collator_holds_no_model(plain: Backbone) -> None:
    NoModel(BytesIO()).dump(plain.collator())


def test_the_layout(family: Family, plain: Backbone) -> None:
    assert (plain.layout.vit, plain.layout.language) == (family.vit, family.language)
    assert list(plain.vit_attention_modules()) == family.layers


@pytest.mark.parametrize("output", ["pool", "mean", "both", "append", "append_mean", "modulate", None])
def test_forward_and_generate(family: Family, checkpoint: Path, output: str | None) -> None:
    if output not in (*family.outputs, None):
        with pytest.raises(ValueError, match=f"block output is {output}"):
            make_backbone(family, checkpoint, output)
        return
    backbone = make_backbone(family, checkpoint, output)
    batch = make_batch(backbone)
    made = backbone(batch)
    patches = len(family.language)
    tokens = {"pool": 1, "mean": 1, "both": 2, "append": patches + 1, "append_mean": patches + 1}.get(
        str(output), patches
    )
    assert visual_positions(backbone, batch).shape == (3, family.groups * tokens + backbone.tokens_after_clip)
    assert made.tokens == 2 + 4 + 3 + 3  # words, and an end of text each
    if output is None:
        assert made.attention is None
    else:
        assert made.attention.log_probs.shape == (3, family.groups, 2, patches)
        assert torch.allclose(made.attention.log_probs.exp().sum(-1), torch.ones(3, family.groups, 2, device=DEVICE))
    assert len(backbone.generate(batch)) == 3


def test_cross_entropy_is_the_librarys(plain: Backbone) -> None:
    batch = make_batch(plain)
    made = plain(batch)
    inputs = {**batch.inputs, **batch.visual}
    labels = inputs.pop("labels")
    loss = plain.generative_model(**plain.prepare(inputs), labels=labels).loss
    assert (made.cross_entropy.sum() / made.tokens).item() == pytest.approx(loss.item(), rel=1e-5)


def test_answers_of_different_lengths_are_trained_on_without_a_mask(plain: Backbone) -> None:
    """A mask for the padding would keep the language model from its fastest attention."""
    masks = []
    hooks = [
        module.register_forward_pre_hook(
            lambda _, args, kwargs: masks.append(kwargs["attention_mask"]), with_kwargs=True
        )
        for module in plain.language_attention_modules().values()
    ]
    batch = make_batch(plain)
    plain(batch)
    for hook in hooks:
        hook.remove()
    assert not batch.inputs["attention_mask"].all()
    assert masks == [None] * len(hooks) != []


def test_inputs_are_the_processors_own(plain: Backbone) -> None:
    clip, collator = make_clip(0), plain.collator()
    question, _ = collator.render(clip.prompt, clip.target, FRAMES)
    frames = plain.options.view.pixels(clip.frames, *plain.frame_size_px)
    media: dict[str, Any] = {"images": list(frames)}
    if plain.media == "video":
        rate_hz = 1 / (clip.frame_times_s[1] - clip.frame_times_s[0])
        times = {"fps": rate_hz, "frames_indices": [1, 2, 3, 4], "total_num_frames": FRAMES}
        media = {"videos": [[frames]], "video_metadata": [VideoMetadata(**times)]}
    own = plain.processor(**media, text=question, return_tensors="pt", **collator.image_options)
    prompts = asked(collate(plain, [clip]))
    ours = {"pixel_values": prompts["pixel_values"].flatten(0, 1), **plain.prepare(prompts)}
    for name, value in own.items():
        assert torch.allclose(torch.as_tensor(value), ours[name].cpu()), name


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
        logits, answers = backbone(batch).cross_entropy, backbone.generate(batch)
        batch.gaze, batch.valid = torch.full_like(batch.gaze, float("nan")), torch.zeros_like(batch.valid)
        assert torch.equal(backbone(batch).cross_entropy, logits)
        assert backbone.generate(batch) == answers
        assert "gaze" not in {*batch.prompts, *batch.inputs, *batch.visual}


def test_batched_generation_equals_single(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1])
    clips = [make_clip(0), make_clip(1)]
    clips[1].prompt = "What will the camera wearer do next?"  # longer: the other is padded
    together = backbone.generate(collate(backbone, clips))
    assert together == [backbone.generate(collate(backbone, [one]))[0] for one in clips]


@pytest.mark.parametrize("source", ["vit", "block"])
def test_a_bright_square_moves_the_cell_that_gaze_falls_in(family: Family, checkpoint: Path, source: str) -> None:
    """In every cell, on the vision tower's grid and on that of the language model's visual tokens."""
    backbone = make_backbone(
        family, checkpoint, None if source == "vit" else "modulate", vit_layers=(-1,) if source == "vit" else ()
    )
    every = list(range(len(backbone.grid)))
    assert moved_cells(family, backbone, every) == (every, every)


@pytest.mark.parametrize("lora", [None, Lora(("vision", "projector", "language"), rank=2)], ids=["plain", "lora"])
def test_vit_attention_is_the_librarys_eager_attention(family: Family, checkpoint: Path, lora: Lora | None) -> None:
    # Logits are large, and a GPU sums them in other orders: up to 1.3e-4 was seen on an H200.
    assert vit_difference(family, checkpoint, lora) < (1e-5 if DEVICE.type == "cpu" else 5e-4)


def test_language_attention_is_the_librarys_eager_attention(family: Family, checkpoint: Path) -> None:
    assert language_difference(family, checkpoint) < 1e-5


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


@pytest.mark.parametrize("tower", ["vision", "language"])
def test_a_loaded_tower_is_captured_as_by_its_options(family: Family, checkpoint: Path, tower: Tower) -> None:
    """Whatever the options had chosen."""
    all_layers, others = {"vit_layers": "all"}, {"language_layers": (1,)}
    if tower == "language":
        all_layers, others = {"language_layers": "all"}, {"vit_layers": family.layers[-1:]}
    chosen = make_backbone(family, checkpoint, None, **all_layers)
    backbone = make_backbone(family, checkpoint, None, **others, heads=(1,))
    backbone.capture_tower(tower)
    assert backbone.grid == chosen.grid
    assert (backbone.source.name, backbone.source.layer_numbers) == (tower, chosen.source.layer_numbers)
    captured, expected = (one(make_batch(one)).attention for one in (backbone, chosen))
    assert captured.grid == expected.grid
    assert torch.allclose(captured.log_probs, expected.log_probs, atol=1e-5)


def test_capture_is_off_outside_its_context(plain: Backbone) -> None:
    capture = plain.vision_capture(list(plain.vit_attention_modules().values()))
    plain(make_batch(plain))
    with pytest.raises(RuntimeError, match="no attention was captured"):
        capture.pop()


def two_tasks(backbone: Backbone) -> Batch:
    """Two clips with both tasks each, of different lengths."""
    clips = [make_clip(seed, target) for seed in (0, 1) for target in ("cut onion", "pick up red cup")]
    for clip in clips[1::2]:
        clip.prompt = "What will the camera wearer do next?"
    return collate(backbone, clips)


def counted(module: nn.Module) -> list[int]:
    """The number of elements that each call of a module is given, from now on."""
    calls: list[int] = []

    def count(_: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        calls.append(next(iter([*inputs, *named.values()])).numel())

    module.register_forward_pre_hook(count, with_kwargs=True)
    return calls


@pytest.mark.parametrize("source", ["block", "vit", "language"])
def test_evaluation_reads_frames_and_prompts_once(family: Family, checkpoint: Path, source: str) -> None:
    """And is what a training step and an answer are by themselves, for each sample."""
    layers = {f"{source}_layers": (family.layers[-1] if source == "vit" else 1,)} if source != "block" else {}
    backbone = make_backbone(family, checkpoint, family.outputs[-1] if source == "block" else None, **layers)
    batch = two_tasks(backbone)
    assert batch.rows.tolist() == [0, 0, 1, 1]
    with torch.no_grad():
        made, answers = backbone(batch), backbone.generate(batch)
    tower, words = counted(family.first_layer(backbone.hf)), counted(backbone.language_attention_modules()[0])
    both, same_answers = backbone.evaluate(batch)
    clips = sum(tower)
    tower.clear()
    with torch.no_grad():
        backbone.encode_clips(batch.visual["pixel_values"])
    assert clips == sum(tower)
    assert torch.allclose(both.cross_entropy, made.cross_entropy, atol=1e-4)
    assert both.tokens == made.tokens
    assert torch.allclose(both.attention.log_probs, made.attention.log_probs, atol=1e-5)
    assert same_answers == answers
    assert len(words) <= backbone.options.max_new_tokens + 1  # over the prompts, a further word each, over the targets
    assert max(words[1:]) < words[0]  # no other pass reads the prompts


def test_given_features_are_those_of_the_model(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1], train=("language",))
    trained = make_backbone(family, checkpoint, family.outputs[-1], train=("vision", "projector", "language"))
    assert backbone.has_frozen_features
    assert not trained.has_frozen_features
    batch = make_batch(backbone)
    made = backbone(batch)
    assert torch.allclose(trained(batch).cross_entropy, made.cross_entropy, atol=1e-5)  # in the model's own pass
    features = backbone.encode_clips(batch.visual["pixel_values"])
    assert features.shape[1:] == (family.groups, *backbone.features_of_group)
    calls = counted(family.first_layer(backbone.hf))
    batch.visual = {"features": features, **{name: batch.visual[name] for name in ("group_s",) if name in batch.visual}}
    given = backbone(batch)
    assert torch.equal(given.cross_entropy, made.cross_entropy)
    assert torch.equal(given.attention.log_probs, made.attention.log_probs)
    given.cross_entropy.sum().backward()
    assert reached(backbone.block)
    assert not calls


def test_features_are_known_by_what_makes_them(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1], train=())
    same = make_backbone(family, checkpoint, family.outputs[-1], train=("language",))
    identity = features_identity(backbone)
    assert features_identity(same) == identity
    json.dumps(identity)
    with torch.no_grad():
        next(family.first_layer(same.hf).parameters()).add_(1e-3)
    assert features_identity(same) != identity


def reached(module: nn.Module) -> bool:
    return any(p.grad is not None and p.grad.ne(0).any() for p in module.parameters())


def test_gradients_reach_the_trainable_parts(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1], train=("vision", "projector", "language"))
    made = backbone(make_batch(backbone))
    (made.cross_entropy.sum() + made.attention.log_probs[..., 0].sum()).backward()
    for part, modules in backbone.parts().items():
        assert all(reached(module) for module in modules), part
    assert all(reached(module) for module in backbone.block.attentions)


def test_vit_attention_of_a_trained_tower_has_a_gradient(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, None, vit_layers=(-1,), train=("vision",))
    backbone(make_batch(backbone)).attention.log_probs[..., 0].sum().backward()
    assert reached(list(backbone.vit_attention_modules().values())[-1])


def test_a_frozen_tower_gives_its_attention_no_gradient(family: Family, checkpoint: Path) -> None:
    frozen = make_backbone(family, checkpoint, None, vit_layers=(-1,))
    assert not frozen(make_batch(frozen)).attention.log_probs.requires_grad


def test_only_the_named_parts_are_trainable(family: Family, checkpoint: Path) -> None:
    backbone = make_backbone(family, checkpoint, train=("projector",))
    projector = {id(p) for module in backbone.parts()["projector"] for p in module.parameters()}
    assert {id(p) for p in backbone.hf.parameters() if p.requires_grad} == projector
    assert all(p.requires_grad for p in backbone.block.parameters())


@pytest.mark.parametrize("lora", [None, Lora(("vision",), rank=2)], ids=["plain", "lora"])
def test_trained_weights_are_saved_and_loaded(
    family: Family, checkpoint: Path, tmp_path: Path, lora: Lora | None
) -> None:
    backbone = make_backbone(family, checkpoint, family.outputs[-1], lora=lora)
    batch = make_batch(backbone)
    with torch.no_grad():
        for p in backbone.parameters():
            if p.requires_grad:
                p.add_(0.05 * torch.randn_like(p))
    torch.save(trainable_state(backbone), tmp_path / "learned.pt")  # type: ignore[arg-type]
    fresh = make_backbone(family, checkpoint, family.outputs[-1], lora=lora)
    assert not torch.allclose(fresh(batch).cross_entropy, backbone(batch).cross_entropy)
    fresh.load_state_dict(torch.load(tmp_path / "learned.pt", weights_only=True, map_location=DEVICE), strict=False)
    assert torch.equal(fresh(batch).cross_entropy, backbone(batch).cross_entropy)
    assert torch.equal(fresh(batch).attention.log_probs, backbone(batch).attention.log_probs)
    assert fresh.generate(batch) == backbone.generate(batch)


def test_another_frame_size_is_refused_and_the_legal_ones_named(family: Family, checkpoint: Path) -> None:
    with pytest.raises(ValueError, match=family.legal):
        make_backbone(family, checkpoint, frame_size_px=family.wrong_size_px)


def test_a_layer_that_cannot_be_taken_is_refused(family: Family, checkpoint: Path) -> None:
    layers = ", ".join(map(str, family.layers))
    with pytest.raises(ValueError, match=f"vit_layers 7: .* {layers}, or -{len(family.layers)} to -1"):
        make_backbone(family, checkpoint, None, vit_layers=(7,))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_model_runs_under_autocast(family: Family, checkpoint: Path, dtype: str) -> None:
    for output, source in (
        (family.outputs[-1], {}),
        (None, {"vit_layers": (-1,)}),
        (None, {"language_layers": (-1,)}),
    ):
        backbone = make_backbone(family, checkpoint, output, dtype=dtype, **source)
        assert {p.dtype for p in backbone.hf.parameters()} == {getattr(torch, dtype)}
        batch = make_batch(backbone)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            made = backbone(batch)
            assert len(backbone.generate(batch)) == 3
        assert made.cross_entropy.dtype == made.attention.log_probs.dtype == torch.float32
        assert made.cross_entropy.isfinite().all()
        assert torch.allclose(made.attention.log_probs.exp().sum(-1), torch.ones((), device=DEVICE), atol=1e-5)
