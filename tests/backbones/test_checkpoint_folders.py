"""Checkpoints' folders as they come: copied in part, of another form, or of parts that do not belong together."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backbone_families import FAMILIES, asked, make_backbone, make_batch
from gaze_vlm.backbones import Llava, QwenVL, loading
from gaze_vlm.backbones.greedy import greedy_config
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.tiny.qwen_vl import build_tiny_qwen_vl
from gaze_vlm.errors import UserError

LLAVA = FAMILIES[0]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13000000\n"


def edit(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def edit_weights(file: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(file)
    change(weights)
    save_file(weights, file, {"format": "pt"})


def to_shards(folder: Path) -> None:
    """One of two files of weights, which the index names both."""
    names = [*load_file(folder / "model.safetensors")]
    files = [f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i in range(len(names))]
    (folder / "model.safetensors").rename(folder / files[0])
    index = {"metadata": {}, "weight_map": dict(zip(names, files, strict=True))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def as_adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "llava-hf/llava-1.5-7b-hf"}))


def as_gguf(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "model-Q4_K_M.gguf").write_bytes(b"GGUF")


def as_cache(folder: Path) -> None:
    snapshot = folder / "snapshots" / "1a2b"
    snapshot.mkdir(parents=True)
    (folder / "config.json").rename(snapshot / "config.json")


def without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def without_end(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", eos_token=None)


def beside_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))


def cut_bin(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes()[:5000])


def as_plain_texts(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
    )


def without_head(folder: Path) -> None:
    edit_weights(folder / "model.safetensors", lambda weights: weights.pop("language_model.lm_head.weight"))


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("no weights", lambda f: (f / "model.safetensors").unlink(), r"has a config.json and no weights \(model.safeten"),
    ("a shard", to_shards, r"lacks 1 of its 2 files of weights \(model-00002-of-00002.safetensors\)"),
    (
        "pointer to weights",
        lambda f: (f / "model.safetensors").write_text(POINTER),
        "model.safetensors is a pointer",
    ),
    ("pointer to a config", lambda f: (f / "config.json").write_text(POINTER), "config.json is a pointer of Git LFS"),
    ("pointer to a tokenizer", lambda f: (f / "tokenizer.json").write_text(POINTER), "tokenizer.json is a pointer"),
    ("cut config", lambda f: (f / "config.json").write_text('{"model_type"'), r"config.json is damaged \(.*\): copy"),
    ("adapter beside a model", beside_adapter, "holds an adapter beside its model, which would be added to it: remove"),
    ("cut tokenizer", lambda f: (f / "tokenizer.json").write_text('{"version'), "a file that transformers cannot read"),
    (
        "size in letters",
        lambda f: edit(f / "config.json", text_config={"hidden_size": "32"}),
        "transformers cannot read",
    ),
    (
        "no model type",
        lambda f: (f / "config.json").write_text("{}"),
        "config.json is of no model that transformers has",
    ),
    ("cut weights of torch", cut_bin, "a damaged one|its weights are damaged"),
    (
        "several layers",
        lambda f: edit(f / "config.json", vision_feature_layer=[-2, -1]),
        r"joins the vision layers \[-2, -",
    ),
    ("template of plain texts", as_plain_texts, "has no chat template that writes a question about frames"),
    ("head", without_head, "lacks lm_head.weight, which would be random: set tie_word_embeddings to true"),
    ("adapter", as_adapter, "it is an adapter of llava-hf/llava-1.5-7b-hf: merge it"),
    ("gguf", as_gguf, r"it holds weights of llama.cpp \(GGUF\)"),
    ("cache", as_cache, r"it is a hub's cache: name the folder .*snapshots/1a2b"),
    (
        "quantized",
        lambda f: edit(f / "config.json", quantization_config={"quant_method": "awq", "bits": 4}),
        r"holds quantized weights \(awq\)",
    ),
    (
        "a weight",
        lambda f: edit_weights(f / "model.safetensors", lambda w: w.pop("language_model.model.norm.weight")),
        r"lacks 1 weights of its model, which would be random: .*norm.weight\. Copy",
    ),
    (
        "names of another form",
        lambda f: edit_weights(
            f / "model.safetensors", lambda w: w.update(renamed=w.pop("language_model.model.norm.weight"))
        ),
        r"It has others that the model does not know: renamed\.",
    ),
    (
        "shape",
        lambda f: edit_weights(
            f / "model.safetensors", lambda w: w.update({"language_model.model.norm.weight": torch.ones(3)})
        ),
        r"1 weights have another shape than config.json says, such as .*norm.weight: \(3,\), and the model has \(32,\)",
    ),
    ("no processor", lambda f: (f / "processor_config.json").unlink(), "lacks a file|has no image processor"),
    ("no template", without_template, "has no chat template that writes"),
    ("no end of text", without_end, "its tokenizer has no end of text"),
    ("other placeholder", lambda f: edit(f / "config.json", image_token_index=9), r"writes <image> .* reads token 9"),
    (
        "class token kept",
        lambda f: edit(f / "config.json", vision_feature_select_strategy="full"),
        "vision_feature_select_strategy is full, which with a clip_vision_model needs default",
    ),
    ("other tower", lambda f: edit(f / "config.json", vision_config={"model_type": "pixtral"}), "has a pixtral as its"),
]


@pytest.mark.parametrize(("damage", "said"), [one[1:] for one in DAMAGES], ids=[one[0] for one in DAMAGES])
def test_what_is_wrong_with_a_folder_is_said_in_one_line(
    damage: Callable[[Path], object], said: str, tiny_llava: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint"))
    damage(folder)
    with pytest.raises(UserError, match=said) as refused:
        make_batch(make_backbone(LLAVA, folder))
    assert str(folder) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_memory_that_is_short_is_no_damage(tiny_llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_pretrained(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Llava.model_class, "from_pretrained", from_pretrained)
    with pytest.raises(torch.OutOfMemoryError):
        loading.load_checkpoint(Llava.model_class, str(tiny_llava), "float32", {})


def test_a_whole_folder_in_shards_is_read(tiny_llava: Path, tmp_path: Path) -> None:
    folder, whole = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint")), make_backbone(LLAVA, tiny_llava, None)
    whole.hf.save_pretrained(folder, max_shard_size="20kB")
    (folder / "model.safetensors").unlink()
    shards = make_backbone(LLAVA, folder, None)
    assert torch.equal(shards(make_batch(shards)).cross_entropy, whole(make_batch(whole)).cross_entropy)


def test_files_that_nobody_reads_may_be_pointers(tiny_llava: Path, tmp_path: Path) -> None:
    """As of a clone that fetched the safetensors alone."""
    folder = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint"))
    for name in ("flax_model.msgpack", "pytorch_model.bin"):
        (folder / name).write_text(POINTER)
    make_backbone(LLAVA, folder)


def test_a_template_that_the_tokenizer_alone_has(tiny_llava: Path, tmp_path: Path) -> None:
    folder, usual = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint")), make_backbone(LLAVA, tiny_llava, None)
    edit(folder / "tokenizer_config.json", chat_template=(folder / "chat_template.jinja").read_text())
    (folder / "chat_template.jinja").unlink()
    backbone = make_backbone(LLAVA, folder, None)
    assert torch.equal(make_batch(backbone).inputs["input_ids"], make_batch(usual).inputs["input_ids"])


@pytest.mark.parametrize("name", ["patch_size", "merge_size", "temporal_patch_size"])
def test_a_processor_of_another_qwen_is_refused(name: str, tmp_path: Path) -> None:
    """Qwen2.5-VL's patches have 14 px, Qwen3-VL's 16: frames would be cut otherwise than the model learned."""
    model, processor = build_tiny_qwen_vl(["cut"], "2.5")
    setattr(processor.image_processor, name, 7)
    save_checkpoint(model, processor, tmp_path)
    with pytest.raises(UserError, match=rf"its processor has {name} 7, and the model \d"):
        QwenVL(str(tmp_path)).load(weights=False)


def test_answers_are_greedy_whatever_the_checkpoint_says(tiny_llava: Path, tmp_path: Path) -> None:
    """Qwen2.5-VL's generation_config.json has sampling and a repetition penalty, which greedy decoding applies too."""
    plain = make_backbone(LLAVA, tiny_llava, None, max_new_tokens=12).eval()
    batch = make_batch(plain)
    with torch.no_grad():
        ids = plain.answer_ids(plain.prepare(asked(batch)))[0]
    folder = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint"))
    said = {"repetition_penalty": 50.0, "do_sample": True, "temperature": 9.0, "no_repeat_ngram_size": 1}
    said |= {"min_new_tokens": 30, "suppress_tokens": ids[0, :1].tolist(), "num_beams": 3, "max_length": 3}
    edit(folder / "generation_config.json", **said)
    backbone = make_backbone(LLAVA, folder, None, max_new_tokens=12).eval()
    with torch.no_grad():
        made = backbone.answer_ids(backbone.prepare(asked(batch)))[0]
    assert torch.equal(made, ids)
    assert backbone.hf.generation_config.repetition_penalty == 50  # what the checkpoint is saved with
    assert len(set(ids[0].tolist())) < len(ids[0])  # a penalty would have changed it


def test_an_answer_ends_with_the_tokenizers_end_of_text(tiny_llava: Path, tmp_path: Path) -> None:
    """Answers are trained to end with it; a generation config that names another one would never end them."""
    folder = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint"))
    edit(folder / "generation_config.json", eos_token_id=3, pad_token_id=None)
    backbone = make_backbone(LLAVA, folder, None)
    tokenizer = backbone.processor.tokenizer
    greedy = greedy_config(backbone.hf.generation_config, tokenizer, 5)
    assert greedy.eos_token_id == [3, tokenizer.eos_token_id]
    assert (greedy.pad_token_id, greedy.max_new_tokens) == (tokenizer.pad_token_id, 5)


def test_a_tokenizer_without_padding(tiny_llava: Path, tmp_path: Path) -> None:
    """As Llama's is: rows are padded with its end of text, and the loss is the same."""
    folder, whole = Path(shutil.copytree(tiny_llava, tmp_path / "checkpoint")), make_backbone(LLAVA, tiny_llava, None)
    edit(folder / "tokenizer_config.json", pad_token=None)
    backbone = make_backbone(LLAVA, folder, None)
    assert backbone.collator().padding == backbone.processor.tokenizer.eos_token_id
    assert torch.allclose(backbone(make_batch(backbone)).cross_entropy, whole(make_batch(whole)).cross_entropy)
    assert backbone.generate(make_batch(backbone)) == whole.generate(make_batch(whole))


def test_another_stride_of_pooling(tmp_path: Path) -> None:
    (family,) = (one for one in FAMILIES if one.name == "llava-next-video")
    save_checkpoint(*family.build(), tmp_path)
    edit(tmp_path / "config.json", spatial_pool_stride=4)
    backbone = make_backbone(family, tmp_path)
    assert (backbone.layout.language.rows, backbone.layout.language.columns) == (2, 2)
    assert backbone(make_batch(backbone)).attention.log_probs.shape[-1] == 4
    edit(tmp_path / "config.json", spatial_pool_stride=3)
    with pytest.raises(UserError, match="spatial_pool_stride 3 leaves patches out of 8 a side"):
        make_backbone(family, tmp_path)
