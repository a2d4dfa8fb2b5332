"""Models of real sizes with random weights, made in place from their configuration: no hub, no file of weights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedModel, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from gaze_vlm.backbones import Backbone, Llava, Lora, QwenVL
from gaze_vlm.backbones.tiny_llava import TinyLlavaSize, build_tiny_llava
from gaze_vlm.backbones.tiny_qwen_vl import build_tiny_qwen_vl
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.mixture import GazeMixture

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
WORDS = "what is the camera wearer doing ? cut onion".split()
VIT_L = TinyLlavaSize(image=336, patch=14, vision_width=1024, vision_layers=24, language_width=512, heads=16)
VOCABULARY = 151_936


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
    _save(model.config, processor, folder)


def save_qwen(size: str, folder: Path) -> None:
    """Those of Qwen2.5-VL with 3 or 7 billion parameters, and a vocabulary of a few words."""
    model, processor = build_tiny_qwen_vl(WORDS, "2.5")
    for videos_or_images in (processor.image_processor, processor.video_processor):
        videos_or_images.patch_size = 14
    width, layers, heads, inner = {"3b": (2048, 36, 16, 11008), "7b": (3584, 28, 28, 18944)}[size]
    text = {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": {"3b": 2, "7b": 4}[size],
        "vocab_size": VOCABULARY,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }
    # Else the class's defaults, which are the tower's.
    vision = {"hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": width}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = {name: getattr(model.config, name) for name in names}
    config = Qwen2_5_VLConfig(vision_config=vision, text_config=text, tie_word_embeddings=size == "3b", **ids)
    config.architectures = [Qwen2_5_VLForConditionalGeneration.__name__]
    _save(config, processor, folder)


def _save(config: Any, processor: Any, folder: Path) -> None:
    config.save_pretrained(folder)
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

    def from_pretrained(checkpoint: str, **more: Any) -> PreTrainedModel:
        build = getattr(model_class, "from_config", None) or model_class._from_config
        with torch.device(DEVICE):
            return build(AutoConfig.from_pretrained(checkpoint), **more)

    random = {"from_pretrained": staticmethod(from_pretrained)}
    backbone.model_class = type(model_class.__name__, (model_class,), random)
    backbone.load()
    return backbone.to(DEVICE)


def make_batch(model: LargeModel, backbone: Backbone) -> Batch:
    """Noise, with gaze in the middle."""
    height, width = backbone.frame_size_px
    clips = [
        Clip(
            clip_id="clip",
            video_id="video",
            session="video",
            task="activity",
            frames=torch.randint(0, 256, (model.frames, 3, height, width), dtype=torch.uint8),
            frame_times_s=[float(i) for i in range(model.frames)],
            gaze=GazeMixture(torch.full((model.frames, 1, 2), 0.5), torch.ones(model.frames, 1), 0.05, width / height),
            prompt="What is the camera wearer doing?",
            target="cut onion",
            verb=None,
            noun=None,
            same_step=True,
            next_starts_in_s=1.0,
        )
        for _ in range(model.clips)
    ]
    batch = backbone.collator()(clips)
    batch.inputs = {name: value.to(DEVICE) for name, value in batch.inputs.items()}
    batch.gaze = batch.gaze.to(DEVICE)
    return batch
