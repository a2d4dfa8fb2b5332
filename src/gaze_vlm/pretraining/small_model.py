"""A small LLaVA of real pretrained parts, trained to name what stills of kitchens show. docs/small_model.md."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gaze_vlm.backbones.compose import join_llava
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.loading import chosen_device, save_checkpoint
from gaze_vlm.backbones.lora import Lora, merge_lora
from gaze_vlm.gaze.view import to_frames
from gaze_vlm.kitchen.recipes import COLOURS, KINDS, VERBS
from gaze_vlm.pretraining.checkpoint_folder import checkpoint_folder
from gaze_vlm.pretraining.encoder_stage import clip_features
from gaze_vlm.pretraining.optimisation import steps as optimiser_steps
from gaze_vlm.pretraining.options import FRAMES, StageOptions
from gaze_vlm.pretraining.patch_labels import patch_labels
from gaze_vlm.pretraining.projector_stage import align
from gaze_vlm.pretraining.questions import TOOLS
from gaze_vlm.pretraining.real_parts import read_dinov2, read_smollm2
from gaze_vlm.pretraining.stills import Still, render_stills
from gaze_vlm.progress import track
from gaze_vlm.ranges import above_zero, at_least, is_seed

IMAGE_PX = 224  # 16 × 16 patches: the size that the packaged graph was exported for
LORA = Lora()  # on the language model
WORDS_LR, WORDS_STILLS = 2e-3, 8  # of the first stage: learning rate, and stills a step
LABEL_WORDS: list[list[str]] = [list(KINDS), list(COLOURS), ["hand", *(TOOLS[verb] for verb in VERBS)]]
"""The word of each label of `patch_labels` above 0."""
BACKGROUND = "table"


def make_small_model(
    output: Path,
    seed: int = 0,
    clips: int = 300,
    word_steps: int = 1000,
    steps: int = 160,
    lr: float = 1e-3,
    batch_size: int = 16,
    scenes: bool = False,
    held_out_clips: int = 40,
) -> Path:
    """Join DINOv2-S/14 and SmolLM2-135M-Instruct into a LLaVA and train it.

    The first stage trains the projector to say what each patch shows in the language model's own words, the second
    projector and language model (LoRA, merged) to name crops of kitchen stills.

    Args:
        output: folder of the checkpoint; one that is there already, made the same way, is kept.
        seed: draws the projector, the stills and the order.
        clips: clips of four stills to train on.
        word_steps: optimiser steps of the first stage.
        steps: optimiser steps of the second; 0 leaves both out, and the projector random.
        lr: highest learning rate of the second.
        batch_size: clips a step of the second.
        scenes: ask of whole scenes too, of 256 visual tokens each: slow without a GPU.
        held_out_clips: clips of four stills on which the facts are measured; they change no weight.

    Raises:
        InputError: the folder holds something else.
        MissingFileError: a package that carries the weights is not installed.
    """
    is_seed(seed)
    at_least(1, clips=clips, batch_size=batch_size, held_out_clips=held_out_clips)
    at_least(0, word_steps=word_steps, steps=steps)
    above_zero(lr=lr)
    facts: dict[str, Any] = {"seed": seed, "clips": clips, "word_steps": word_steps, "steps": steps, "lr": lr}
    facts |= {"batch_size": batch_size, "scenes": scenes, "lora": str(LORA)}
    with checkpoint_folder(output, facts) as folder:
        if folder is not None:
            torch.manual_seed(seed)
            tower, image_processor = read_dinov2(IMAGE_PX)
            save_checkpoint(*join_llava(tower, *read_smollm2(), image_processor), folder)
            if steps:
                stage = StageOptions(steps, lr, batch_size)
                facts |= train_both(folder, seed, clips, word_steps, stage, scenes, held_out_clips)
            print(json.dumps(facts, indent=1))
    return output


def train_both(
    folder: Path, seed: int, clips: int, word_steps: int, stage: StageOptions, scenes: bool, held_out_clips: int
) -> dict[str, float]:
    """Train a checkpoint in place in both stages.

    Returns:
        What it can do, and how long a step took.
    """
    backbone = Llava(str(folder), train=("projector",), lora=LORA)
    backbone.load()
    backbone.to(chosen_device())
    stills = render_stills(clips + held_out_clips, FRAMES, seed)
    times_s = [time.perf_counter()]
    features = features_of(backbone, stills)
    times_s.append(time.perf_counter())
    facts = {"word_error": learn_words(backbone, features, stills, word_steps, held_out_clips)}
    times_s.append(time.perf_counter())
    rng = np.random.default_rng(seed)
    facts |= align(backbone.hf, backbone.collator(), features, stills, stage, rng, held_out_clips, scenes)
    times_s.append(time.perf_counter())
    merge_lora(backbone.hf)
    save_checkpoint(backbone.hf, backbone.processor, folder)
    counts = {
        "encoding_s_per_still": len(stills) * FRAMES,
        "word_s_per_step": word_steps,
        "alignment_s_per_step": stage.steps,
    }
    spent_s = zip(counts.items(), np.diff(times_s), strict=True)
    return facts | {name: round(float(s) / max(count, 1), 3) for (name, count), s in spent_s}


def features_of(backbone: Llava, clips: list[list[Still]]) -> Float[Tensor, "clip frame patch width"]:
    """Compute features of the frozen tower, a clip at a time.

    The pixels of all would not fit.
    """
    collator = backbone.collator()
    images = (np.stack([still.image for still in clip]) for clip in track(clips, "encoding stills"))
    frames = (to_frames(torch.from_numpy(image)) for image in images)
    return torch.cat([clip_features(backbone, collator.pixel_values(clip)[None])[:, :, 1:] for clip in frames])


def learn_words(
    backbone: Llava,
    features: Float[Tensor, "clip frame patch width"],
    clips: list[list[Still]],
    count: int,
    held_out_clips: int,
) -> float:
    """Train the projector to make word embeddings of patches.

    Of each patch it makes the sum of the language model's embeddings of the words for what it shows. No pass through
    the language model, so a step takes hundredths of a second.

    Returns:
        The squared error on held-out stills, as a share of the embeddings' own square.
    """
    projector = backbone.hf.model.multi_modal_projector
    images, stills = features.flatten(0, 1), [still for clip in clips for still in clip]
    labels = torch.from_numpy(np.stack([patch_labels(still, backbone.grid.rows) for still in stills]))
    labels = labels.to(images.device)
    words = [word_embeddings(backbone, one) for one in LABEL_WORDS]
    background = word_embeddings(backbone, [BACKGROUND])[1]

    def error(index: Tensor) -> Tensor:
        shown = labels[index]
        target = sum(embedding[shown[:, i]] for i, embedding in enumerate(words))
        target = torch.where((shown == 0).all(1)[..., None], background, torch.as_tensor(target))
        return functional.mse_loss(projector(images[index]), target) / target.square().mean()

    trained = len(images) - held_out_clips * FRAMES
    for step in optimiser_steps(list(projector.parameters()), WORDS_LR, count, "learning words"):
        step(error(torch.randint(trained, (WORDS_STILLS,))))
    with torch.no_grad():
        return round(float(error(torch.arange(trained, len(images)))), 3)


def word_embeddings(backbone: Llava, words: list[str]) -> Float[Tensor, "word width"]:
    """Return the language model's input embeddings of some words, behind a row of 0.

    A word of several tokens has their mean.
    """
    table = backbone.hf.get_input_embeddings().weight.detach()
    tokens = [backbone.processor.tokenizer(f" {word}", add_special_tokens=False).input_ids for word in words]
    return torch.stack([torch.zeros_like(table[0]), *(table[ids].mean(0) for ids in tokens)])
