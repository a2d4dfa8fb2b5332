"""How a part learns: all its weights, LoRA, beside weights of 4 bits; and what the checkpoint keeps of it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import BitsAndBytesConfig

from backbone_families import DEVICE, FAMILIES, make_backbone, make_batch
from gaze_vlm.backbones import Llava, Lora, loading
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.parts import parameters_by_part
from gaze_vlm.training.checkpoint import trainable_state

LLAVA, QWEN2 = FAMILIES[0], next(family for family in FAMILIES if family.name == "qwen2-vl-image")


def bad(message: str, **options: object) -> object:
    return pytest.param(options, message, id=message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        bad("rank is 0; expected 1 or more", rank=0),
        bad("alpha is 0.0; expected a number above 0", alpha=0.0),
        bad(r"dropout is 1.0; expected a share in \[0, 1\)", dropout=1.0),
        bad("lora.parts is empty", parts=()),
    ],
)
def test_lora_out_of_range_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lora(**options)


def test_lora_that_matches_nothing_names_what_there_is(tiny_llava: Path) -> None:
    with pytest.raises(ValueError, match=r"matches no linear layer of projector: it has \['linear_1', 'linear_2'\]"):
        make_backbone(LLAVA, tiny_llava, train=(), lora=Lora(("projector",), targets="q_proj"))


def test_lora_targets_are_whole_names(tiny_llava: Path) -> None:
    backbone = make_backbone(LLAVA, tiny_llava, train=(), lora=Lora(targets="[qk]_proj"))
    added = [name for name, _ in backbone.hf.named_parameters() if "lora_A" in name]
    assert len(added) == 4  # two layers of the language model; up_proj and o_proj have none
    assert all("language_model" in name for name in added)


def test_a_part_learns_in_one_way(tiny_llava: Path) -> None:
    with pytest.raises(ValueError, match="language in train and in lora"):
        Llava(str(tiny_llava), train=("projector", "language"), lora=Lora())


def test_weights_of_4_bits_need_bitsandbytes_and_a_gpu(tiny_llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"needs bitsandbytes: pip install 'gaze-vlm-lightning\[qlora\]'"):
        make_backbone(LLAVA, tiny_llava, train=(), quantization="4bit")
    monkeypatch.setattr(loading, "find_spec", lambda _: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="needs an NVIDIA GPU"):
        make_backbone(LLAVA, tiny_llava, train=(), quantization="4bit")
    with pytest.raises(ValueError, match="take language out of train"):
        make_backbone(LLAVA, tiny_llava, train=("language",), quantization="4bit")


def test_the_frozen_language_model_alone_is_held_in_4_bits(tiny_llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the library; without a GPU it cannot be done."""
    asked: list[BitsAndBytesConfig | None] = []

    def from_pretrained(checkpoint: str, quantization_config: BitsAndBytesConfig | None = None, **options: object):  # type: ignore[no-untyped-def]
        asked.append(quantization_config)
        return Llava.model_class.from_pretrained(checkpoint, **options)

    monkeypatch.setattr(loading, "find_spec", lambda _: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    backbone = Llava(str(tiny_llava), train=("projector",), lora=Lora(), quantization="4bit")
    stand_in = SimpleNamespace(
        from_pretrained=from_pretrained,
        _from_config=Llava.model_class._from_config,
        from_config=None,
        config_class=Llava.model_class.config_class,
    )
    monkeypatch.setattr(backbone, "model_class", stand_in)
    backbone.load()
    (config,) = asked
    assert config is not None
    assert config.load_in_4bit
    assert config.bnb_4bit_use_double_quant
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
    assert sorted(config.llm_int8_skip_modules) == ["lm_head", "model.multi_modal_projector", "model.vision_tower"]


def test_a_shared_frozen_head_is_not_kept(tmp_path: Path) -> None:
    """A head that shares its weight with the embeddings goes by two names."""
    model, processor = QWEN2.build()
    model.config.tie_word_embeddings = model.config.text_config.tie_word_embeddings = True
    model.tie_weights()
    save_checkpoint(model, processor, tmp_path)
    backbone = make_backbone(QWEN2, tmp_path, train=("projector",))
    assert backbone.hf.lm_head.weight is backbone.hf.get_input_embeddings().weight
    assert not [name for name in trainable_state(backbone) if "lm_head" in name or "embed_tokens" in name]
    learning = make_backbone(QWEN2, tmp_path, train=("language",))
    of_part = parameters_by_part(learning.parts())
    assert sum(p is learning.hf.lm_head.weight for p in of_part["language"]) == 1
    assert {"hf.lm_head.weight", "hf.model.language_model.embed_tokens.weight"} <= trainable_state(learning).keys()


def test_lora_of_half_weights_learns_in_32_bits(tiny_llava: Path) -> None:
    backbone = make_backbone(LLAVA, tiny_llava, train=(), dtype="bfloat16", lora=Lora(("vision", "language")))
    assert {p.dtype for p in backbone.parameters() if p.requires_grad} == {torch.float32}
    with torch.autocast(DEVICE.type, torch.bfloat16):
        made = backbone(make_batch(backbone))
    made.cross_entropy.sum().backward()
    assert made.cross_entropy.isfinite().all()


@pytest.mark.gpu
def test_lora_learns_beside_weights_of_4_bits(tiny_llava: Path) -> None:
    bits = pytest.importorskip("bitsandbytes")
    backbone = make_backbone(LLAVA, tiny_llava, train=("projector",), lora=Lora(), quantization="4bit")
    linear = backbone.hf.model.language_model.layers[0].mlp.up_proj.base_layer
    assert isinstance(linear, bits.nn.Linear4bit)
    assert linear.weight.dtype == torch.uint8
    with torch.autocast("cuda", torch.bfloat16):
        made = backbone(make_batch(backbone))
    (made.cross_entropy.sum() + made.attention.log_probs[..., 0].sum()).backward()
    assert all(p.grad.isfinite().all() for p in backbone.parameters() if p.requires_grad)
    plain = make_backbone(LLAVA, tiny_llava, train=("projector",), lora=Lora())
    with torch.autocast("cuda", torch.bfloat16):
        exact = plain(make_batch(plain)).cross_entropy
    assert torch.allclose(made.cross_entropy, exact, rtol=0.05)
