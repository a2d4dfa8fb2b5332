"""The kitchen's own LLaVA, from scratch: an encoder that has seen kitchens, and a language model aligned to it.

A real run starts from a pretrained checkpoint. None can ship, so this makes one of the real classes. It knows stills
of random kitchens, no recipe and no gaze, and is the same for all arms that are compared:

1. *encoder*: the vision tower learns to name what each patch shows (dense labels from the renderer);
2. *alignment*: projector and language model learn to answer questions about scenes, the tower frozen.
"""

import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlavaForConditionalGeneration

from gaze_vlm.backbones.collator import IGNORED, Collator
from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.tiny_llava import TinyLlavaSize, build_tiny_llava, save
from gaze_vlm.datamodules.clips import PROMPTS
from gaze_vlm.gaze.view import View, to_frames
from gaze_vlm.kitchen.patch_labels import CLASSES, KINDS, patch_labels
from gaze_vlm.kitchen.questions import draw_question, vocabulary
from gaze_vlm.kitchen.stills import Still, stills
from gaze_vlm.progress import track

FRAMES = 4
HELD_OUT = 200  # clips on which the page of facts is measured
SIZE = TinyLlavaSize(vision_width=64, vision_layers=3, language_width=64)


@dataclass(frozen=True)
class Pretraining:
    """How a backbone is made: clips of four stills, steps and learning rates of the two stages."""

    clips: int = 2400
    encoder_steps: int = 1200
    alignment_steps: int = 800
    encoder_lr: float = 3e-3
    alignment_lr: float = 3e-3
    batch_size: int = 64


def make_backbone(output: Path, seed: int = 0, pretraining: Pretraining = Pretraining()) -> Path:
    """Train the kitchen's tiny LLaVA and save it as an ordinary `transformers` checkpoint.

    Args:
        output: folder of the checkpoint; one that is there already, made the same way, is kept.
        seed: draws the stills, the weights and the order.
        pretraining: how long and how fast.

    Raises:
        ValueError: the folder holds something else.
    """
    facts: dict[str, Any] = {"seed": seed, **vars(pretraining)}
    page = output / "pretraining.json"
    if page.is_file() and facts.items() <= json.loads(page.read_text()).items():
        print(f"{output} is there already")
        return output
    if output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty and holds another backbone: delete it or choose another folder")
    torch.manual_seed(seed)
    clips = render(pretraining.clips + HELD_OUT, seed)
    words = [*vocabulary(), *" ".join(PROMPTS.values()).replace("?", " ?").lower().split()]
    model, processor = build_tiny_llava(words, SIZE, seed)
    save(model, processor, output)
    backbone = Llava(str(output))
    backbone.load()
    collator = backbone.collator()
    pixels = torch.stack([see(collator, clip) for clip in track(clips, "seeing")])
    labels = torch.from_numpy(np.stack([[patch_labels(still, backbone.grid.rows) for still in clip] for clip in clips]))
    facts |= train_encoder(backbone.hf, pixels, labels, pretraining)
    facts |= align(backbone.hf, collator, pixels, clips, labels[:, -1, 0], pretraining, np.random.default_rng(seed))
    save(backbone.hf, processor, output)
    page.write_text(json.dumps(facts, indent=1) + "\n")
    return output


def render(clips: int, seed: int) -> list[list[Still]]:
    """So many clips of stills of fresh kitchens, rendered on all cores."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        rendered = pool.imap(partial(_clip, seed), range(clips), chunksize=20)
        return list(track(rendered, "rendering stills", clips))


def _clip(seed: int, index: int) -> list[Still]:
    return stills(np.random.default_rng([seed, index]), FRAMES)


def see(collator: Collator, clip: list[Still]) -> Float[Tensor, "frame 3 height width"]:
    """The stills of a clip as the vision tower takes them."""
    frames = View().pixels(
        to_frames(torch.from_numpy(np.stack([still.image for still in clip]))),
        collator.height_px,
        collator.width_px,
    )
    return collator.processor.image_processor(list(frames), do_resize=False, return_tensors="pt")["pixel_values"]


def train_encoder(
    model: LlavaForConditionalGeneration,
    pixels: Float[Tensor, "clip frame 3 height width"],
    labels: Int[Tensor, "clip frame label patch"],
    pretraining: Pretraining,
) -> dict[str, float]:
    """Stage 1; returns the accuracy on held-out patches that show something."""
    tower = model.model.vision_tower.requires_grad_(True)
    images, labels = pixels.flatten(0, 1), labels.flatten(0, 1)
    held_out = HELD_OUT * FRAMES
    heads = nn.Linear(tower.config.hidden_size, sum(CLASSES))
    parameters = [*tower.parameters(), *heads.parameters()]

    def scores(index: Tensor) -> list[Tensor]:
        return list(heads(visual_features(model, images[index])).split(CLASSES, -1))

    for step in steps(parameters, pretraining.encoder_lr, pretraining.encoder_steps, "training the encoder"):
        index = torch.randint(len(images) - held_out, (pretraining.batch_size,))
        step(
            sum(
                functional.cross_entropy(part.flatten(0, 1), truth.flatten())
                for part, truth in zip(scores(index), labels[index].unbind(1), strict=True)
            )
        )
    with torch.no_grad():
        index = torch.arange(len(images) - held_out, len(images))
        said = torch.stack([part.argmax(-1) for part in scores(index)], 1)
    shown = labels[index] > 0
    right = (said == labels[index]) & shown
    kind, colour, hand = (right.sum((0, 2)) / shown.sum((0, 2))).tolist()
    return {"patch_kind": round(kind, 3), "patch_colour": round(colour, 3), "patch_hand": round(hand, 3)}


def visual_features(model: LlavaForConditionalGeneration, images: Tensor) -> Float[Tensor, "image patch width"]:
    """Patch features that LLaVA's projector reads."""
    return model.model.vision_tower(images, output_hidden_states=True).hidden_states[-1][:, 1:]


def align(
    model: LlavaForConditionalGeneration,
    collator: Collator,
    pixels: Tensor,
    clips: list[list[Still]],
    kinds: Int[Tensor, "clip patch"],
    pretraining: Pretraining,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Stage 2, the tower frozen; returns the share of answer tokens that are right on held-out clips."""
    model.requires_grad_(True).train()
    model.model.vision_tower.requires_grad_(False)
    with torch.no_grad():
        features = torch.cat([visual_features(model, part) for part in pixels.flatten(0, 1).split(256)])
    features = features.unflatten(0, (len(clips), FRAMES))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def answer(index: np.ndarray, frames: int) -> tuple[Tensor, Tensor]:
        pairs, seen = [], []
        for i in index:
            asked = draw_question(clips[i][-1], rng)
            patches = None if asked.crop is None else (kinds[i] == KINDS.index(asked.crop) + 1).nonzero()[:, 0]
            if patches is None or not len(patches):  # the whole frames
                pairs.append(collator.tokenize(asked.text, asked.answer, frames))
                seen.append(features[i, -frames:].flatten(0, 1))
            else:
                crop = replace(collator, tokens_per_frame=len(patches))
                pairs.append(crop.tokenize(asked.text, asked.answer, 1))
                seen.append(features[i, -1, patches])
        ids = collator.pad([prompt + reply for prompt, reply in pairs])
        targets = collator.pad([[IGNORED] * len(prompt) + reply for prompt, reply in pairs], IGNORED)["input_ids"]
        longest = int((targets != IGNORED).sum(1).max())
        embedded = model.get_input_embeddings()(ids["input_ids"])
        tokens = model.model.multi_modal_projector(torch.cat(seen))
        embedded = embedded.masked_scatter((ids["input_ids"] == collator.image_token)[..., None], tokens)
        positions = (ids["attention_mask"].cumsum(1) - 1).clamp_min(0)
        logits = model(
            inputs_embeds=embedded,
            attention_mask=ids["attention_mask"],
            position_ids=positions,
            logits_to_keep=longest + 1,
            use_cache=False,
        ).logits
        return logits[:, :-1], targets[:, -longest:]

    for step in steps(parameters, pretraining.alignment_lr, pretraining.alignment_steps, "aligning"):
        frames = FRAMES if rng.random() < 0.2 else 1  # one frame is four times as quick, and teaches the same
        index = rng.integers(0, len(clips) - HELD_OUT, pretraining.batch_size)
        logits, targets = answer(index, frames)
        step(functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED))
    with torch.no_grad():
        logits, targets = answer(np.arange(len(clips) - HELD_OUT, len(clips)), FRAMES)
    said = targets != IGNORED
    return {"answer_tokens": round(float((logits.argmax(-1) == targets)[said].float().mean()), 3)}


def steps(parameters: list[nn.Parameter], lr: float, count: int, description: str) -> Iterator[Any]:
    """`count` times a function that takes one optimiser step on a loss, with AdamW and a one-cycle schedule."""
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=count, pct_start=0.15)

    def step(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()

    for _ in track(range(count), description):
        yield step
