from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.backbones import Llava
from gaze_vlm.kitchen.patch_labels import CLASSES, crop_weights, patch_labels
from gaze_vlm.kitchen.pretraining import Pretraining, make_backbone
from gaze_vlm.kitchen.questions import ask_of_crop, ask_of_scene, vocabulary
from gaze_vlm.kitchen.stills import still

QUICK = Pretraining(clips=8, encoder_steps=2, alignment_steps=4, batch_size=4)


def test_patch_labels_agree_with_the_map() -> None:
    for seed in range(10):
        one = still(np.random.default_rng(seed))
        labels = patch_labels(one, 8)
        assert labels.shape == (3, 64)
        assert all(labels[i].max() < CLASSES[i] for i in range(3))
        assert ((labels[0] > 0) == (labels[1] > 0)).all()
        for item in range(len(one.objects)):
            crop = crop_weights(one, item + 1, 8)
            assert crop.sum() == pytest.approx(float((one.object_map == item + 1).any()), abs=1e-5)


def test_questions_use_known_words_and_never_the_tasks() -> None:
    rng, words = np.random.default_rng(0), set(vocabulary())
    for _ in range(50):
        one = still(rng)
        crop, scene = ask_of_crop(one, rng)[:2], ask_of_scene(one, rng)
        assert set(" ".join((*crop, *scene)).split()) <= words
        assert "wearer" not in crop[0] + scene[0]


def test_a_backbone_is_an_ordinary_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gaze_vlm.kitchen.pretraining.HELD_OUT", 4)
    output = make_backbone(tmp_path / "llava", pretraining=QUICK)
    backbone = Llava(str(output))
    backbone.load()
    assert len(backbone.grid) == 64
    written = (output / "model.safetensors").stat().st_mtime_ns
    make_backbone(output, pretraining=QUICK)  # is kept
    assert (output / "model.safetensors").stat().st_mtime_ns == written
    with pytest.raises(ValueError, match="holds another backbone"):
        make_backbone(output, seed=1, pretraining=QUICK)
