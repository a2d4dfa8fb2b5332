"""A small LLaVA of real pretrained parts, its projector aligned to stills of kitchens. docs/small_model.md."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gaze_vlm.backbones.compose import check_empty, join_llava
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.packaged import read_dinov2, read_smollm2
from gaze_vlm.backbones.tiny_llava import save
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.kitchen.optimisation import best_device
from gaze_vlm.kitchen.pretraining import FRAMES, Pretraining, align, clip_features
from gaze_vlm.kitchen.stills import Still, render_stills

IMAGE_PX = 224  # 16 × 16 patches: the size that the packaged graph was exported for
HELD_OUT = 40  # clips of four stills


def make_small_model(
    output: Path,
    seed: int = 0,
    clips: int = 120,
    steps: int = 120,
    lr: float = 2e-3,
    batch_size: int = 8,
    language: bool = False,
    scenes: bool = False,
) -> Path:
    """Join DINOv2-S/14 and SmolLM2-135M-Instruct into a LLaVA checkpoint, and train its projector to name crops of
    kitchen stills.

    Args:
        output: folder of the checkpoint; a new one, or empty.
        seed: draws the projector, the stills and the order.
        clips: of four stills, to train on.
        steps: of the alignment; 0 leaves the projector random.
        lr: its highest learning rate.
        batch_size: clips a step.
        language: let the language model learn beside the projector.
        scenes: ask of whole scenes too, of 256 visual tokens each: slow without a GPU.

    Raises:
        ValueError: the folder is not empty.
        FileNotFoundError: a package that carries the weights is not installed.
    """
    check_empty(output)
    unfinished = output.with_name(f".{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    torch.manual_seed(seed)
    tower, image_processor = read_dinov2(IMAGE_PX)
    model, processor = join_llava(tower, *read_smollm2(), image_processor)
    save(model, processor, unfinished)
    facts: dict[str, Any] = {"seed": seed, "clips": clips, "steps": steps, "lr": lr, "batch_size": batch_size}
    facts |= {"language": language, "scenes": scenes}
    if steps:
        backbone = Llava(str(unfinished))
        backbone.load()
        backbone.to(best_device())
        stills = render_stills(clips + HELD_OUT, FRAMES, seed)
        start_s = time.perf_counter()
        features = features_of(backbone, stills)
        encoded_s = time.perf_counter()
        pretraining = Pretraining(clips=clips, alignment_steps=steps, alignment_lr=lr, batch_size=batch_size)
        rng = np.random.default_rng(seed)
        facts |= align(backbone.hf, backbone.collator(), features, stills, pretraining, rng, HELD_OUT, language, scenes)
        facts["encoding_s_per_still"] = round((encoded_s - start_s) / (len(stills) * FRAMES), 3)
        facts["alignment_s_per_step"] = round((time.perf_counter() - encoded_s) / steps, 3)
        save(backbone.hf, processor, unfinished)
    (unfinished / "pretraining.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))
    if output.exists():
        output.rmdir()  # empty, as was checked
    return unfinished.rename(output)


def features_of(backbone: Llava, clips: list[list[Still]]) -> Float[Tensor, "clip frame patch width"]:
    """Features of the frozen tower, a clip at a time: the pixels of all would not fit."""
    collator = backbone.collator()
    frames = (to_frames(torch.from_numpy(np.stack([still.image for still in clip]))) for clip in clips)
    return torch.cat([clip_features(backbone.hf, collator.pixel_values([clip])) for clip in frames])
