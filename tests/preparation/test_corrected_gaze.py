"""Gaze that was corrected and prepared again makes another store, though its clips and videos are as before."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.preparation.store import Store, video_file
from gaze_vlm.training.checkpoint import check_made_by, store_digest

VIDEO = "P01-R02-Salad"


def correct(root: Path) -> None:
    """Move all gaze of one video by 20 px of its BeGaze export."""
    path = root / "gaze_data" / f"{VIDEO}.txt"
    rows = [line.split("\t") for line in path.read_text(encoding="latin-1").split("\n")]
    for row in rows:
        if len(row) > 3 and row[1] == "SMP":
            row[3] = f"{float(row[3]) + 20:.2f}"
    path.write_text("\n".join("\t".join(row) for row in rows), encoding="latin-1")


@pytest.fixture
def corrected(root: Path, copy: Path, parameters: PreparationParameters) -> Path:
    correct(root)
    return prepare("egtea", root, copy, parameters, workers=1)


def test_the_store_is_another(corrected: Path, prepared: Path) -> None:
    before, after = Store(prepared), Store(corrected)
    assert not np.array_equal(before.video(VIDEO).raw_xy, after.video(VIDEO).raw_xy, equal_nan=True)
    assert before.clips == after.clips
    made = {
        video_id: (entry.made_from, after.manifest.videos[video_id].made_from)
        for video_id, entry in before.manifest.videos.items()
    }
    assert [video_id for video_id, (first, second) in made.items() if first != second] == [VIDEO]
    manifest = json.loads((corrected / "manifest.json").read_text())  # but for the place of the raw data
    (corrected / "manifest.json").write_text(json.dumps({**manifest, "root": before.manifest.root}))
    assert store_digest(corrected) != store_digest(prepared)
    run = {"arm": "gaze", "seed": 0, "dataset": "egtea", "store": store_digest(prepared)}
    with pytest.raises(InputError, match="the checkpoint is of store"):
        check_made_by(run, run | {"store": store_digest(corrected)}, resumes=True)


def test_prepared_again_unchanged_it_is_the_same(copy: Path, raw_root: Path, parameters: PreparationParameters) -> None:
    digest = store_digest(copy)
    prepare("egtea", raw_root, copy, parameters, workers=2)
    assert store_digest(copy) == digest


def test_arrays_of_another_preparation_are_refused(corrected: Path, prepared: Path) -> None:
    """As a copy of a store leaves them that was cut off."""
    shutil.copy(video_file(prepared, VIDEO), video_file(corrected, VIDEO))
    with pytest.raises(InputError, match=rf"{VIDEO}.safetensors was made from other gaze, .*: copy the whole store"):
        Store(corrected).video(VIDEO)


def test_a_store_that_was_prepared_before_is_read(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    for entry in manifest["videos"].values():
        del entry["made_from"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert Store(copy).video(VIDEO).event.size
