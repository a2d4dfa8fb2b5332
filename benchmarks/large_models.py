"""Models of real sizes with random weights, made in place from their configuration: no hub, no file of weights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import tests_path  # noqa: F401 (before what lies in tests/)
import torch
from lightning.pytorch.utilities import move_data_to_device
from transformers import AutoConfig, PreTrainedModel

# isort: split

from backbone_families import WORDS, make_clip
from gaze_vlm.backbones import Backbone, Llava, Lora, QwenVL
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava
from gaze_vlm.datamodules.clip import Batch
from qwen_sizes import save_qwen

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
VIT_L = TinyLlavaSize(image=336, patch=14, vision_width=1024, vision_layers=24, language_width=512, heads=16)


@dataclass(frozen=True)
class LargeModel:
    """A model, how it learns, and the batch that it is given.

    Args:
        description: in words.
        make: the backbone, from the folder of its configuration.
        save: writes configuration and processor into a folder.
        layer: of the vision tower that gaze pulls.
        clips, frames: of a batch.
        options: of the backbone.
    """

    description: str
    make: type[Backbone]
    save: Callable[[Path], None]
    layer: int
    clips: int
    frames: int
    options: dict[str, Any] = field(default_factory=dict)


def save_llava(folder: Path) -> None:
    """Configuration and processor of a LLaVA whose tower is CLIP ViT-L/14 at 336 px."""
    with torch.device("meta"):
        model, processor = build_tiny_llava(WORDS, VIT_L)
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)


def _qwen(size: str) -> LargeModel:
    return LargeModel(
        description=f"Qwen2.5-VL-{size.upper()}, weights of bfloat16, LoRA of rank 16 on tower and language model, "
        "the merger learning; 252x336 px",
        make=QwenVL,
        save=partial(save_qwen, size),
        layer=-1,
        clips=2,
        frames=8,
        options={
            "dtype": "bfloat16",
            "frame_size_px": (252, 336),
            "train": ("projector",),
            "lora": Lora(("vision", "language")),
        },
    )


MODELS = {
    "llava-vit-l-336": LargeModel(
        description="LLaVA: CLIP ViT-L/14, 336 px, 24 layers of 1024; language model: 2 layers of 512; all learning",
        make=Llava,
        save=save_llava,
        layer=-2,
        clips=4 if ON_GPU else 1,
        frames=8 if ON_GPU else 1,
        options={"train": ("vision", "projector", "language")},
    ),
    "qwen2.5-vl-3b": _qwen("3b"),
    "qwen2.5-vl-7b": _qwen("7b"),
}


def load(model: LargeModel, folder: Path, **options: Any) -> Backbone:
    """The backbone on the device, with random weights."""
    backbone = model.make(str(folder), **{**model.options, **options})
    model_class = backbone.model_class

    def from_pretrained(
        checkpoint: str, *, output_loading_info: bool, ignore_mismatched_sizes: bool, **more: Any
    ) -> tuple[PreTrainedModel, dict[str, set[str]]]:
        build = getattr(model_class, "from_config", None) or model_class._from_config
        with torch.device(DEVICE):
            built = build(AutoConfig.from_pretrained(checkpoint), **more)
        return built, {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set()}

    random = {"from_pretrained": staticmethod(from_pretrained)}
    backbone.model_class = type(model_class.__name__, (model_class,), random)
    backbone.load()
    return backbone.to(DEVICE)


def make_batch(model: LargeModel, backbone: Backbone) -> Batch:
    """Noise, with gaze anywhere."""
    clips = [make_clip(i, frames=model.frames) for i in range(model.clips)]
    return move_data_to_device(backbone.collator()(clips), DEVICE)
