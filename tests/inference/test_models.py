"""Any model loads by one name, and answers as it did."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backbone_families import make_clip
from gaze_vlm import load_backbone
from gaze_vlm.attention import GazeBlock
from gaze_vlm.backbones import Llava, Lora
from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.backbones.families import FAMILIES
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.gaze.view import View
from gaze_vlm.inference.clips import answer, clip_of_frames
from gaze_vlm.inference.questions import trained_on
from gaze_vlm.training.export import export_backbone

BLOCK = partial(GazeBlock, heads=2, head_width=8, output="append")
FORMS = {
    "whole": {"block": None},
    "whole, with a block": {"block": BLOCK},
    "adapter": {"block": BLOCK, "train": ("projector",), "lora": Lora(("vision", "language"), rank=2)},
    "block": {"block": BLOCK, "train": ()},
}


OPTIONS = {"max_new_tokens": 5, "vit_layers": [], "language_layers": [], "heads": []}


def trained(checkpoint: Path, **options: object) -> Llava:
    backbone = Llava(str(checkpoint), max_new_tokens=5, view=View(0.1, 0.0, 0.9, 1.0), **options)
    backbone.load()
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return backbone.eval()


@pytest.mark.parametrize("form", FORMS)
def test_an_export_answers_as_the_model_that_was_exported(form: str, tiny_llava: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = trained(tiny_llava, **FORMS[form])
    batch = backbone.collator()([make_clip(0), make_clip(1)])
    cross_entropy, answers = backbone(batch).cross_entropy, backbone.generate(batch)
    export_backbone(backbone, tmp_path, form.split(",")[0])
    again = load_backbone(tmp_path)
    assert (again.options.view, again.options.max_new_tokens) == (backbone.options.view, 5)
    assert torch.allclose(again(batch).cross_entropy, cross_entropy, atol=1e-4)
    assert again.generate(batch) == answers
    assert not any("lora" in name for name, _ in again.named_parameters())


def test_options_take_the_place_of_an_exports(tiny_llava: Path, tmp_path: Path) -> None:
    export_backbone(trained(tiny_llava), tmp_path)
    backbone = load_backbone(tmp_path, max_new_tokens=2, language_layers="all", train=("language",))
    assert backbone.options.max_new_tokens == 2
    assert backbone.source is not None
    assert backbone.trainable_parameters()["language"]


def test_an_export_knows_what_it_was_trained_on_and_where_its_attention_is(tiny_llava: Path, tmp_path: Path) -> None:
    backbone = trained(tiny_llava, language_layers=(-1,), heads=(1,))
    export_backbone(backbone, tmp_path, clip=ClipShape(6, 2.0), prompts={"activity": "Doing what?"})
    again = load_backbone(tmp_path)
    assert (again.options.language_layers, again.options.heads, again.source.name) == ((-1,), (1,), "language")
    known = trained_on(str(tmp_path))
    assert known.times == {"frame_hz": 2.0, "observation_s": 3.0}
    assert known.prompts == PROMPTS | {"activity": "Doing what?"}
    with pytest.raises(InputError, match=r"reads gaze beside the frames \(data\.gaze_input is 'text'"):
        trained_on(str(retold(tmp_path, gaze_input="text")))


def test_frames_alone_are_enough() -> None:
    backbone = load_backbone("kitchen-llava")
    assert not any(p.requires_grad for p in backbone.parameters())
    clips = [
        clip_of_frames(torch.zeros(2, 3, 30, 40, dtype=torch.uint8), [0.0, 0.4], question, question)
        for question in ("What is the camera wearer doing?", "What will the camera wearer do next?")
    ]
    assert not backbone.collator()(clips).valid.any()
    answers = answer(backbone, clips)
    assert answers == [answer(backbone, [clip])[0] for clip in clips]
    with pytest.raises(InputError, match="clip a has 2 frames and 1 times"):
        clip_of_frames(torch.zeros(2, 3, 30, 40, dtype=torch.uint8), [0.0], "?", "a")


def test_every_model_type_has_one_family() -> None:
    types = [name for family in FAMILIES for name in family("any").model_types]
    assert len(types) == len(set(types)) >= 9


def retold(folder: Path, **settings: object) -> Path:
    """An export whose `gaze_vlm.json` says something else."""
    file = folder / "gaze_vlm.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))
    return folder


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backbone", "Backbone", "names the backbone 'Backbone', not one of InternVL"),
        ("options", {"checkpoint": "elsewhere"}, "checkpoint is unknown"),
        ("options", OPTIONS | {"media": "sound"}, "media is 'sound'"),
        ("options", OPTIONS | {"vit_layers": "some"}, "vit_layers is 'some'"),
        ("prompts", {"past": "What was it?"}, "prompts names 'past', which is no task"),
        ("clip", {"frames": 0, "frame_hz": 1.0}, "frames is 0"),
        ("view", {"left": "0"}, "view is"),
        ("view", {"up": 0.0}, "unexpected keyword argument 'up'"),
        ("block", {"heads": 2, "size": 3}, "unexpected keyword argument 'size'"),
    ],
)
def test_damaged_settings_are_refused(name: str, value: object, said: str, tiny_llava: Path, tmp_path: Path) -> None:
    export_backbone(trained(tiny_llava), tmp_path)
    with pytest.raises(InputError, match=said) as refused:
        load_backbone(retold(tmp_path, **{name: value}))
    assert str(tmp_path / "gaze_vlm.json") in str(refused.value)


def test_what_is_missing_or_of_another_model_is_named(tiny_llava: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no model in"):
        load_backbone(tmp_path)
    backbone = trained(tiny_llava, block=BLOCK, lora=Lora(rank=2), train=())
    export_backbone(backbone, tmp_path, "adapter")
    (tmp_path / "gaze_block.safetensors").rename(tmp_path / "elsewhere")
    with pytest.raises(MissingFileError, match=r"gaze_block\.safetensors is missing"):
        load_backbone(tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "gaze_block.safetensors")
    with pytest.raises(InputError, match="takes 96×96 alone"):
        load_backbone(retold(tmp_path, base_checkpoint="kitchen-llava"))
    with pytest.raises(InputError, match=r"holds no adapter of .*kitchen-llava"):
        load_backbone(retold(tmp_path, base_checkpoint="kitchen-llava", options=OPTIONS))
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(MissingFileError, match=r"adapter_model\.safetensors is missing"):
        load_backbone(tmp_path)


@pytest.mark.parametrize("part", ["lora_A", "multi_modal_projector"])
def test_an_adapter_whose_weights_have_other_names_is_refused(part: str, tiny_llava: Path, tmp_path: Path) -> None:
    """As where a library named its modules anew: the model would answer as its base, or as half of the adapter."""
    backbone = trained(tiny_llava, lora=Lora(("vision", "language"), rank=2), train=("projector",))
    export_backbone(backbone, tmp_path, "adapter")
    file = tmp_path / "adapter_model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if part in name)
    save_file({key: value for key, value in weights.items() if key != name}, file)
    with pytest.raises(InputError, match=rf"holds no adapter of .*: it lacks .*{part}"):
        load_backbone(tmp_path)
    save_file(weights | {f"{name}.more": weights[name].clone()}, file)
    with pytest.raises(InputError, match=rf"the model has no .*{part}.*more"):
        load_backbone(tmp_path)
