"""The model families that the kitchen can make a tiny checkpoint of: frames of 96 px, 8 × 8 visual tokens each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gaze_vlm.backbones import Backbone, InternVL, Llava, LlavaNextVideo, LlavaOnevision, Narrator, QwenVL, SmolVLM
from gaze_vlm.backbones.tiny.internvl import build_tiny_internvl
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava
from gaze_vlm.backbones.tiny.llava_next_video import build_tiny_llava_next_video
from gaze_vlm.backbones.tiny.llava_onevision import build_tiny_llava_onevision
from gaze_vlm.backbones.tiny.narrator import build_tiny_narrator
from gaze_vlm.backbones.tiny.qwen_vl import build_tiny_qwen_vl
from gaze_vlm.backbones.tiny.smolvlm import build_tiny_smolvlm

WIDTH = 64


@dataclass(frozen=True)
class Family:
    """How a family's tiny model is built and loaded; `build` takes the vocabulary and a seed.

    `pools` says whether its language model can read one token a frame in place of the patches.
    """

    make: type[Backbone]
    build: Callable[..., tuple[Any, Any]]
    frame_size_px: tuple[int, int] | None = None
    pools: bool = True


def build_kitchen_llava(words: Sequence[str], seed: int) -> tuple[Any, Any]:
    size = TinyLlavaSize(vision_width=WIDTH, vision_layers=2, language_width=WIDTH, heads=2)
    return build_tiny_llava(words, size, seed)


def _qwen(generation: str, pools: bool = True) -> Family:
    build = partial(build_tiny_qwen_vl, generation=generation, width=WIDTH, patch=6, window=4)  # type: ignore[arg-type]
    return Family(QwenVL, build, (96, 96), pools)


FAMILIES: dict[str, Family] = {
    "llava": Family(Llava, build_kitchen_llava),
    "llava-next-video": Family(LlavaNextVideo, partial(build_tiny_llava_next_video, width=WIDTH, image=96, patch=6)),
    "llava-onevision": Family(LlavaOnevision, partial(build_tiny_llava_onevision, width=WIDTH, image=105)),
    "qwen2-vl": _qwen("2"),
    "qwen2.5-vl": _qwen("2.5"),
    "qwen3-vl": _qwen("3", pools=False),  # DeepStack
    "internvl3": Family(InternVL, partial(build_tiny_internvl, width=WIDTH, image=96, patch=6)),
    "narrator": Family(
        Narrator, partial(build_tiny_narrator, vision_width=WIDTH, language_width=WIDTH, image=96, patch=12)
    ),
    "smolvlm2": Family(SmolVLM, partial(build_tiny_smolvlm, width=WIDTH, image=96, patch=6, shuffled=2)),
}
