"""A kitchen's checkpoint of any family, from scratch in two stages, through the backbone's own interface.

It knows stills, no recipe and no gaze: its vision tower names patches, then its language model answers questions about
crops and whole stills.
"""

from pathlib import Path

import numpy as np
import torch

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.loading import chosen_device, save_checkpoint
from gaze_vlm.backbones.tiny import TinyFamily
from gaze_vlm.backbones.visual_features import ClipFeatures
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.metrics.texts import exact_match
from gaze_vlm.pretraining.asking import ask, put_crops
from gaze_vlm.pretraining.encoder_stage import train_encoder
from gaze_vlm.pretraining.optimisation import steps
from gaze_vlm.pretraining.options import FRAMES, Pretraining, StageOptions
from gaze_vlm.pretraining.stills import Still, render_stills


def make_family(
    folder: Path, words: list[str], seed: int, family: TinyFamily, pretraining: Pretraining
) -> dict[str, float]:
    """Make a family's checkpoint in `folder` from random weights, and measure it.

    Returns:
        What `train_encoder` and `align_family` do.
    """
    held_out = pretraining.held_out_clips
    clips = render_stills(pretraining.clips + held_out, FRAMES, seed)
    model, processor = family.build(words, seed=seed)
    save_checkpoint(model, processor, folder)
    backbone = family.make(
        str(folder), train=("vision", "projector", "language"), frame_size_px=family.frame_size_px, max_new_tokens=24
    )
    backbone.load()
    backbone.to(chosen_device())
    features, facts = train_encoder(backbone, clips, pretraining.encoder, held_out)
    rng = np.random.default_rng(seed)
    facts |= align_family(backbone, features, clips, family.pools, pretraining.alignment, rng, held_out)
    save_checkpoint(backbone.hf, processor, folder)
    return facts


def align_family(
    backbone: Backbone,
    features: ClipFeatures,
    clips: list[list[Still]],
    pools: bool,
    stage: StageOptions,
    rng: np.random.Generator,
    held_out_clips: int,
) -> dict[str, float]:
    """Train what reads the features of frames: the language model, and the projector where it stands behind them.

    Three steps of four ask for a crop's name, where the language model can read one token a frame. The others ask about
    whole stills.

    Args:
        backbone: it is loaded; what makes the features is frozen.
        features: of the clips.
        clips: stills of a kitchen each; the last clips are held out.
        pools: whether the language model can read one token a frame.
        stage: how long and how fast.
        rng: draws clips and questions.
        held_out_clips: how many clips are kept for the measurement.

    Returns:
        Of held-out clips, the share of right answers to each kind of question.
    """
    put_crops(backbone)
    collator, trained = backbone.collator(), len(clips) - held_out_clips

    def of(index: np.ndarray, crops: bool) -> tuple[Batch, list[tuple[str, str]]]:
        first = 0 if crops else FRAMES - 1  # a question about a whole still is asked of the last one alone
        chosen = [clips[i][first:] for i in index]
        return ask(backbone, collator, chosen, crops, rng, features[torch.from_numpy(index), first:])

    parameters = [parameter for parameter in backbone.hf.parameters() if parameter.requires_grad]
    for number, step in enumerate(steps(parameters, stage.lr, stage.steps, "aligning")):
        made = backbone(of(rng.integers(0, trained, stage.batch_size), pools and number % 4 != 0)[0])
        step(made.cross_entropy.sum() / made.tokens)
    facts = {}
    for name, crops in (("crop_answers", True), ("scene_answers", False)):
        if pools or not crops:
            batch, questions = of(np.arange(trained, len(clips)), crops)
            answers = zip(questions, backbone.generate(batch), strict=True)
            facts[name] = round(float(np.mean([exact_match(answer, truth) for (_, truth), answer in answers])), 3)
    return facts
