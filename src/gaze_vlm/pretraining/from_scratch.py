"""The kitchen's own LLaVA, from scratch: an encoder that has seen kitchens, and a language model aligned to it.

A real run starts from a pretrained checkpoint. This makes one of the real classes, small enough to ship: it made
`shipped/kitchen-llava`. It knows stills of random kitchens, no recipe and no gaze:

1. *encoder*: the vision tower learns to name what each patch shows (dense labels from the renderer);
2. *alignment*: projector and language model learn to answer questions about scenes, the tower frozen.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaze_vlm.backbones.llava import Llava
from gaze_vlm.backbones.loading import chosen_device, save_checkpoint
from gaze_vlm.backbones.tiny import tiny_families
from gaze_vlm.backbones.tiny.llava import TinyLlavaSize, build_tiny_llava
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.errors import InputError
from gaze_vlm.kitchen.build import VERSION
from gaze_vlm.pretraining.any_family import make_family
from gaze_vlm.pretraining.checkpoint_folder import checkpoint_folder
from gaze_vlm.pretraining.encoder_stage import train_encoder
from gaze_vlm.pretraining.options import FRAMES, FamilyPretraining, Pretraining, how_made
from gaze_vlm.pretraining.projector_stage import align
from gaze_vlm.pretraining.questions import all_words
from gaze_vlm.pretraining.stills import render_stills
from gaze_vlm.ranges import is_seed

SIZE = TinyLlavaSize(vision_width=96, vision_layers=3, language_width=64)


def make_backbone(
    output: Path,
    seed: int = 0,
    family: str | None = None,
    pretraining: Pretraining = Pretraining(),  # noqa: B008 (frozen)
    family_pretraining: FamilyPretraining = FamilyPretraining(),  # noqa: B008 (frozen)
) -> Path:
    """Train a tiny model on the kitchen's stills and save it as an ordinary checkpoint.

    Args:
        output: folder of the checkpoint; one that is there already, made the same way, is kept.
        seed: draws the stills, the weights and the order.
        family: name of a family of `backbones/tiny/`, such as qwen3-vl, all made alike. Left out, the LLaVA of the
            kitchen's main table.
        pretraining: how long and how fast that LLaVA is trained.
        family_pretraining: how long and how fast a named family is.

    Raises:
        InputError: an unknown family, or the folder holds something else.
    """
    is_seed(seed)
    families = tiny_families()
    if family is not None and family not in families:
        raise InputError(f"family {family}: choose one of {', '.join(families)}")
    how = how_made(pretraining) if family is None else {"family": family, **how_made(family_pretraining)}
    facts: dict[str, Any] = {"kitchen": VERSION, "seed": seed, **how}
    with checkpoint_folder(output, facts) as folder:
        if folder is not None:
            torch.manual_seed(seed)
            words = [*all_words(), *" ".join(PROMPTS.values()).replace("?", " ?").lower().split()]
            if family is None:
                facts |= make_llava(folder, words, seed, pretraining)
            else:
                facts |= make_family(folder, words, seed, families[family], family_pretraining)
    return output


def make_llava(folder: Path, words: list[str], seed: int, pretraining: Pretraining) -> dict[str, float]:
    """Make the main table's backbone in two stages, and measure it."""
    clips = render_stills(pretraining.clips + pretraining.held_out_clips, FRAMES, seed)
    model, processor = build_tiny_llava(words, SIZE, seed)
    save_checkpoint(model, processor, folder)
    backbone = Llava(str(folder))
    backbone.load()
    backbone.to(chosen_device())
    held_out, rng = pretraining.held_out_clips, np.random.default_rng(seed)
    features, facts = train_encoder(backbone, clips, pretraining.encoder, held_out)
    features = features[:, :, 1:]  # the projector reads no class token
    facts |= align(backbone.hf, backbone.collator(), features, clips, pretraining.alignment, rng, held_out)
    save_checkpoint(backbone.hf, processor, folder)
    return facts
