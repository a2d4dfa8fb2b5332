"""A small LLaVA of real pretrained parts, its projector aligned to stills of kitchens. docs/small_model.md."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaze_vlm.backbones.compose import check_empty, join_llava
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.packaged import read_dinov2, read_smollm2
from gaze_vlm.backbones.tiny_llava import save
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.kitchen.pretraining import FRAMES, Pretraining, align, clip_features
from gaze_vlm.kitchen.stills import render_stills

IMAGE_PX = 224  # 16 × 16 patches: the size that the packaged graph was exported for
HELD_OUT = 40


def make_small_model(
    output: Path,
    seed: int = 0,
    clips: int = 200,
    steps: int = 150,
    lr: float = 2e-3,
    batch_size: int = 16,
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
    torch.manual_seed(seed)
    tower, image_processor = read_dinov2(IMAGE_PX)
    model, processor = join_llava(tower, *read_smollm2(), image_processor)
    save(model, processor, output)
    facts: dict[str, Any] = {"seed": seed, "clips": clips, "steps": steps, "lr": lr, "batch_size": batch_size}
    facts |= {"language": language, "scenes": scenes}
    if steps:
        backbone = Llava(str(output))
        backbone.load()
        pretraining = Pretraining(clips=clips, alignment_steps=steps, alignment_lr=lr, batch_size=batch_size)
        stills = render_stills(clips + HELD_OUT, FRAMES, seed)
        collator = backbone.collator()
        start_s = time.perf_counter()
        # A clip at a time: the pixels of all would not fit.
        features = torch.cat(
            [
                clip_features(
                    backbone.hf,
                    collator.pixel_values([to_frames(torch.from_numpy(np.stack([still.image for still in clip])))]),
                )
                for clip in stills
            ]
        )
        encoded_s = time.perf_counter()
        rng = np.random.default_rng(seed)
        facts |= align(
            backbone.hf, collator, features, stills, pretraining, rng, language, scenes, held_out_clips=HELD_OUT
        )
        facts["encoder_s_per_still"] = round((encoded_s - start_s) / (len(stills) * FRAMES), 3)
        facts["alignment_s_per_step"] = round((time.perf_counter() - encoded_s) / steps, 3)
        save(backbone.hf, processor, output)
    (output / "pretraining.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))
    return output
