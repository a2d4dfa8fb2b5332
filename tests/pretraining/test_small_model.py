"""The small model's making, on tiny stand-ins for the packaged parts; the parts are in tests/real."""

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    Dinov2Config,
    Dinov2Model,
    Qwen2ForCausalLM,
    ViTImageProcessor,
)

from gaze_vlm.backbones.tiny.common import build_tokenizer, tiny_qwen2
from gaze_vlm.cli import main
from gaze_vlm.pretraining import small_model
from gaze_vlm.pretraining.questions import all_words
from gaze_vlm.pretraining.stills import stills


@pytest.fixture
def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = build_tokenizer([*all_words(), "<|im_start|>", "<|im_end|>"], {})
    tower = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=56, patch_size=14, use_mask_token=False
    )
    size = {"height": 56, "width": 56}
    vision = (Dinov2Model(tower), ViTImageProcessor(size=size))
    language = (Qwen2ForCausalLM(tiny_qwen2(tokenizer, 32)), tokenizer)
    monkeypatch.setattr(small_model, "read_dinov2", lambda _: deepcopy(vision))
    monkeypatch.setattr(small_model, "read_smollm2", lambda: deepcopy(language))
    rng = np.random.default_rng(0)
    monkeypatch.setattr(small_model, "render_stills", lambda clips, *_: [stills(rng, 4) for _ in range(clips)])


@pytest.mark.usefixtures("tiny_parts")
def test_projector_and_language_model_learn_and_the_checkpoint_is_ordinary(tmp_path: Path) -> None:
    made, facts = [], []
    for steps, word_steps in ((0, 0), (2, 0), (2, 40)):
        folder = tmp_path / f"{steps}-{word_steps}"
        options = [
            f"--output={folder}",
            f"--steps={steps}",
            f"--word_steps={word_steps}",
            "--clips=3",
            "--batch_size=2",
            "--held_out_clips=2",
        ]
        assert main(["small-model", *options]) == 0
        made.append(AutoModelForImageTextToText.from_pretrained(folder).state_dict())
        facts.append(json.loads((folder / "pretraining.json").read_text()))
    changed = {name for name, tensor in made[0].items() if not torch.equal(tensor, made[1][name])}
    assert made[0].keys() == made[1].keys()
    assert any("multi_modal_projector" in name for name in changed)
    assert any("language_model.layers" in name for name in changed)
    assert not any("vision_tower" in name or "embed_tokens" in name for name in changed)
    assert all(0 <= facts[2][f"crop_{name}"] <= 1 for name in ("tokens", "answers", "object_answers", "tool_answers"))
    assert facts[2]["word_error"] < facts[1]["word_error"]
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is this ?"}]}]
    text = AutoProcessor.from_pretrained(folder).apply_chat_template(chat, add_generation_prompt=True)
    assert text == "<|im_start|>user\n<image>what is this ?<|im_end|>\n<|im_start|>assistant\n"
    made_ns = (folder / "model.safetensors").stat().st_mtime_ns
    assert main(["small-model", *options]) == 0  # is kept
    assert (folder / "model.safetensors").stat().st_mtime_ns == made_ns
    assert main(["small-model", f"--output={folder}"]) == 1  # holds another
