"""The model families under the backbones' contract, each as a tiny checkpoint of the real classes."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import move_data_to_device
from torch import nn
from transformers import Dinov2Config, Dinov2Model, Qwen2ForCausalLM

from gaze_vlm.attention import GazeBlock
from gaze_vlm.backbones import Backbone, InternVL, Llava, LlavaNextVideo, LlavaOnevision, Narrator, QwenVL, SmolVLM
from gaze_vlm.backbones.compose import join_llava
from gaze_vlm.backbones.qwen_vl import TIMES_GROUPS
from gaze_vlm.backbones.tiny.common import tiny_qwen2
from gaze_vlm.backbones.tiny.internvl import build_tiny_internvl
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_processor, build_tiny_llava
from gaze_vlm.backbones.tiny.llava_next_video import build_tiny_llava_next_video
from gaze_vlm.backbones.tiny.llava_onevision import build_tiny_llava_onevision
from gaze_vlm.backbones.tiny.narrator import build_tiny_narrator
from gaze_vlm.backbones.tiny.qwen_vl import build_tiny_qwen_vl
from gaze_vlm.backbones.tiny.smolvlm import build_tiny_smolvlm
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.view import Grid

WORDS = "what is the camera wearer doing will do next ? cut pick up red cup onion".split()
FRAMES = 4
DEVICE = torch.device(os.environ.get("GAZE_VLM_TEST_DEVICE", "cpu"))
"""`make test-gpu` holds the contract on a GPU."""


@dataclass(frozen=True)
class Family:
    """What the contract has to know of a family.

    `outputs` are the gaze block's that it takes, `layers` the vision layers that can be tapped; `first_layer` gives
    the vision layer whose input is made of each patch alone. `wrong_size_px` is refused with `legal`.
    """

    name: str
    make: type[Backbone]
    build: Callable[[], tuple[Any, Any]]
    vit: Grid
    language: Grid
    layers: list[int]
    first_layer: Callable[[Any], nn.Module]
    wrong_size_px: tuple[int, int]
    legal: str
    frame_size_px: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ("pool", "mean", "both", "append", "append_mean", "modulate")
    options: Mapping[str, str] = field(default_factory=dict)
    frames_per_group: int = 1

    @property
    def groups(self) -> int:
        """Of a clip of `FRAMES`."""
        return FRAMES // self.frames_per_group


def qwen(generation: str, layers: list[int], media: str, **more: Any) -> Family:
    return Family(
        name=f"qwen{generation}-vl-{media}",
        options={"media": media},
        frames_per_group=2 if media == "video" else 1,
        make=QwenVL,
        build=partial(build_tiny_qwen_vl, WORDS, generation),  # type: ignore[arg-type]
        vit=Grid(6, 8),
        language=Grid(3, 4),
        layers=layers,
        first_layer=lambda hf: hf.model.visual.blocks[0],
        wrong_size_px=(24, 30),
        legal="both must be multiples of 8, the nearest is 24×32",
        frame_size_px=(24, 32),
        **more,
    )


def build_tiny_dinov2_llava(image: int = 48, patch: int = 12) -> tuple[Any, Any]:
    """A LLaVA with DINOv2's tower, joined as the small real one is; pixels for `image` and `patch`."""
    processor = build_processor(WORDS, TinyLlavaSize(image, patch=patch))
    tokenizer = processor.tokenizer
    sides: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    vision = Dinov2Config(image_size=image, patch_size=patch, mlp_ratio=2, use_mask_token=False, **sides)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower, language = Dinov2Model(vision), Qwen2ForCausalLM(tiny_qwen2(tokenizer, 32))
        nn.init.normal_(tower.embeddings.cls_token)  # the library's is too small to tell patches apart
        model, joined = join_llava(tower, language, tokenizer, processor.image_processor)
    joined.chat_template = processor.chat_template
    return model, joined


FAMILIES = [
    Family(
        name="llava",
        make=Llava,
        build=partial(
            build_tiny_llava, WORDS, TinyLlavaSize(48, patch=12, vision_width=32, vision_layers=2, language_width=32)
        ),
        vit=Grid(4, 4),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.model.vision_tower.encoder.layers[0],
        wrong_size_px=(48, 64),
        legal="takes 48×48 alone",
    ),
    *(qwen("2", [0, 1, 2], media) for media in ("image", "video")),
    *(qwen("2.5", [2], media) for media in ("image", "video") if media == "image" or TIMES_GROUPS),  # else refused
    *(qwen("3", [0, 1, 2], media, outputs=("modulate",)) for media in ("image", "video")),
    Family(
        name="internvl3",
        make=InternVL,
        build=partial(build_tiny_internvl, WORDS),
        vit=Grid(8, 8),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.model.vision_tower.encoder.layer[0],
        wrong_size_px=(32, 64),
        legal="takes 32×32 alone",
    ),
    Family(
        name="llava-onevision",
        make=LlavaOnevision,
        build=partial(build_tiny_llava_onevision, WORDS),
        vit=Grid(7, 7),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.model.vision_tower.encoder.layers[0],
        wrong_size_px=(48, 48),
        legal="takes 50×50 alone",
    ),
    Family(
        name="llava-next-video",
        make=LlavaNextVideo,
        build=partial(build_tiny_llava_next_video, WORDS),
        vit=Grid(8, 8),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.model.vision_tower.encoder.layers[0],
        wrong_size_px=(64, 64),
        legal="takes 32×32 alone",
    ),
    Family(
        name="smolvlm2",
        make=SmolVLM,
        build=partial(build_tiny_smolvlm, WORDS),
        vit=Grid(12, 12),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.model.vision_model.encoder.layers[0],
        wrong_size_px=(48, 48),
        legal="takes 50×50 alone",
    ),
    Family(
        name="llava-dinov2",
        make=Llava,
        build=build_tiny_dinov2_llava,
        vit=Grid(4, 4),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.model.vision_tower.encoder.layer[0],
        wrong_size_px=(48, 64),
        legal="takes 48×48 alone",
    ),
    Family(
        name="narrator",
        make=Narrator,
        build=partial(build_tiny_narrator, WORDS),
        vit=Grid(4, 4),
        language=Grid(4, 4),
        layers=[0, 1],
        first_layer=lambda hf: hf.encoder.timm_model.blocks[0],
        wrong_size_px=(48, 48),
        legal="takes 32×32 alone",
    ),
]


def make_backbone(
    family: Family, checkpoint: Path, output: str | None = "modulate", weights: bool = True, **options: Any
) -> Backbone:
    """A loaded backbone with a small block, or without one."""
    torch.manual_seed(0)
    block = None if output is None else partial(GazeBlock, heads=2, head_width=8, output=output)  # type: ignore[arg-type]
    options = {"frame_size_px": family.frame_size_px, "max_new_tokens": 4, **family.options, **options}
    backbone = family.make(str(checkpoint), block=block, **options)
    backbone.load(weights)
    return backbone.to(DEVICE) if weights else backbone


def randomize_lora(backbone: Backbone, std: float = 0.3) -> None:
    """LoRA adds nothing at the start; make it add."""
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=std)


def make_clip(seed: int, target: str = "cut onion", frames: int = FRAMES) -> Clip:
    """Noise with gaze anywhere."""
    draw = torch.Generator().manual_seed(seed)
    return Clip(
        clip_id=f"clip{seed}",
        video_id="video",
        session="video",
        task="activity",
        frames=torch.randint(0, 256, (frames, 3, 60, 80), dtype=torch.uint8, generator=draw),
        frame_times_s=[0.4 * (i + 1) for i in range(frames)],
        gaze=GazeMixture(torch.rand(frames, 4, 2, generator=draw), torch.ones(frames, 4), 0.02, 4 / 3),
        prompt="What is the camera wearer doing?",
        target=target,
        verb=None,
        noun=None,
        same_action=True,
        future_starts_in_s=1.0,
    )


def make_batch(backbone: Backbone, clips: int = 3) -> Batch:
    """Clips with answers of 2, 4 and 3 words."""
    targets = ["cut onion", "pick up red cup", "cut red cup"]
    return collate(backbone, [make_clip(i, targets[i % 3]) for i in range(clips)])


def collate(backbone: Backbone, clips: list[Clip]) -> Batch:
    """A batch on the device of the tests."""
    return move_data_to_device(backbone.collator()(clips), DEVICE)


def asked(batch: Batch) -> dict[str, torch.Tensor]:
    """What a model is prepared with to answer a batch of clips."""
    return {**batch.prompts, **batch.visual}
