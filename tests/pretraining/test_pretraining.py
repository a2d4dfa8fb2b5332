import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gaze_vlm.backbones import Llava
from gaze_vlm.backbones.tiny import tiny_families
from gaze_vlm.gaze.view import Grid
from gaze_vlm.pretraining import any_family
from gaze_vlm.pretraining.from_scratch import make_backbone
from gaze_vlm.pretraining.options import FamilyPretraining, Pretraining
from gaze_vlm.pretraining.patch_labels import CLASSES, crop_weights, patch_labels
from gaze_vlm.pretraining.questions import all_words, ask_of_crop, ask_of_scene
from gaze_vlm.pretraining.stills import stills

QUICK = Pretraining(clips=8, encoder_steps=2, alignment_steps=4, batch_size=4, held_out_clips=4)


def test_patch_labels_agree_with_the_map() -> None:
    for seed in range(10):
        one = stills(np.random.default_rng(seed), 1)[0]
        labels = patch_labels(one, 8)
        assert labels.shape == (3, 64)
        assert all(labels[i].max() < CLASSES[i] for i in range(3))
        assert ((labels[0] > 0) == (labels[1] > 0)).all()
        for item in range(len(one.objects)):
            crop = crop_weights(one, item + 1, 8)
            assert crop.sum() == pytest.approx(float((one.object_map == item + 1).any()), abs=1e-5)


def test_questions_use_known_words_and_never_the_tasks() -> None:
    rng, words = np.random.default_rng(0), set(all_words())
    for _ in range(50):
        one = stills(rng, 1)[0]
        crop, scene = ask_of_crop(one, rng)[:2], ask_of_scene(one, rng)
        assert set(" ".join((*crop, *scene)).split()) <= words
        assert "wearer" not in crop[0] + scene[0]


def test_a_backbone_is_an_ordinary_checkpoint(tmp_path: Path) -> None:
    output = make_backbone(tmp_path / "llava", pretraining=QUICK)
    backbone = Llava(str(output))
    backbone.load()
    assert len(backbone.grid) == 64
    written = (output / "model.safetensors").stat().st_mtime_ns
    make_backbone(output, pretraining=QUICK)  # is kept
    assert (output / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="holds another backbone"):
        make_backbone(output, seed=1, pretraining=QUICK)


@pytest.mark.parametrize("family", tiny_families())
def test_every_family_has_a_checkpoint(family: str, tmp_path: Path) -> None:
    """Of 8 × 8 visual tokens a frame, after a question about a scene and one about crops."""
    quick = FamilyPretraining(clips=4, encoder_steps=1, alignment_steps=2, batch_size=2, held_out_clips=4)
    output = make_backbone(tmp_path / family, family=family, family_pretraining=quick)
    chosen = tiny_families()[family]
    backbone = chosen.make(str(output), frame_size_px=chosen.frame_size_px)
    backbone.load()
    assert backbone.layout.language == Grid(8, 8)
    facts = json.loads((output / "pretraining.json").read_text())
    assert ("crop_answers" in facts) == chosen.pools


def test_both_stages_of_a_family_learn_and_the_second_leaves_the_tower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(any_family, "render_stills", cache(any_family.render_stills))
    weights, facts = [], []
    for steps in ((0, 0), (30, 0), (30, 60)):
        quick = FamilyPretraining(40, *steps, alignment_lr=1e-2, batch_size=16, held_out_clips=40)
        output = make_backbone(tmp_path / f"{sum(steps)}", family="llava", family_pretraining=quick)
        facts.append(json.loads((output / "pretraining.json").read_text()))
        weights.append(load_file(output / "model.safetensors"))
    assert facts[0]["patch_colour"] < facts[1]["patch_colour"] == facts[2]["patch_colour"]
    assert facts[1]["crop_answers"] < facts[2]["crop_answers"]
    changed = [
        {name for name in before if not torch.equal(before[name], after[name])} for before, after in pairwise(weights)
    ]
    assert changed[0]
    assert all("vision_tower" in name for name in changed[0])
    assert not any("vision_tower" in name for name in changed[1])
    assert {part for part in ("multi_modal_projector", "layers", "lm_head") for name in changed[1] if part in name} == {
        "multi_modal_projector",
        "layers",
        "lm_head",
    }


def test_an_unknown_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="family blip: choose one of internvl3, llava, "):
        make_backbone(tmp_path, family="blip")
