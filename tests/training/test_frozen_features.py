"""Features of a frozen vision tower on disk: made once, shared, and without any influence on what is trained."""

import json
import os
import pickle
from dataclasses import replace
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
import torch
from transformers.models.clip.modeling_clip import CLIPVisionModel
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

from backbone_families import WORDS, make_clip
from gaze_vlm.backbones import Llava
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.backbones.tiny import tiny_families
from gaze_vlm.cli import main
from gaze_vlm.datamodules import ClipDataModule
from gaze_vlm.datamodules.feature_files import FeatureFiles
from gaze_vlm.preparation.store import Store
from gaze_vlm.shipped.checkpoints import shipped_checkpoints
from training_files import ROOT, arguments, fit


@pytest.fixture
def tower_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of vision towers, by class."""
    calls: list[str] = []
    for tower in (CLIPVisionModel, Qwen2_5_VisionTransformerPretrainedModel):
        forward = tower.forward

        def counted(self, *args, forward=forward, **kwargs):  # type: ignore[no-untyped-def]
            calls.append(type(self).__name__)
            return forward(self, *args, **kwargs)

        monkeypatch.setattr(tower, "forward", counted)
    return calls


def clips_of(store: Path, *splits: str) -> int:
    return sum(record.split in splits for record in Store(store).clips)


def test_a_sweep_of_lambda_runs_the_frozen_tower_once(
    prepared: Path, tmp_path: Path, tower_calls: list[str], capsys: pytest.CaptureFixture
) -> None:
    save_checkpoint(*tiny_families()["qwen2.5-vl"].build(WORDS, seed=0), tmp_path / "checkpoint")
    sweep = {
        "0": ["--data.gaze.sigma=0.05"],
        "0.1": ["--data.train_noise.offset=0.1"],
        "1": ["--data.train_gaze=shuffled"],
        "10": ["--seed_everything=1"],
        "100": [],
    }
    for weight, other in sweep.items():
        options = [
            f"--config={ROOT / 'lightning_configs' / 'runs' / 'kitchen_qwen2.5-vl.yaml'}",
            *arguments(tmp_path / f"run{weight}", tmp_path / "checkpoint", prepared)[2:],
            f"--model.regularizer.init_args.weight={weight}",
            *other,
            "--run.test_after_fit=true",
        ]
        assert main(["fit", *options]) == 0
        assert len(tower_calls) == clips_of(prepared, "train", "validation", "test")
    assert "features of" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_with_features_equals_one_without(tiny_llava: Path, prepared: Path, tmp_path: Path, workers: int) -> None:
    """Bit for bit, with draws of a dropout: where features are made, where they are there, and where none are kept."""
    lora = "{parts: [language], rank: 2, dropout: 0.5}"
    options = [
        f"--data.workers={workers}",
        "--model.backbone.init_args.train=[projector]",
        f"--model.backbone.init_args.lora={lora}",
    ]
    made = fit(tmp_path / "made", tiny_llava, prepared, *options)
    there = fit(tmp_path / "there", tiny_llava, prepared, *options)
    none = fit(tmp_path / "none", tiny_llava, prepared, *options, "--data.features=null")
    for file in ("metrics.csv", "predictions.jsonl"):
        assert (made / file).read_bytes() == (there / file).read_bytes() == (none / file).read_bytes()
    assert [*(tmp_path / "features").rglob("*.safetensors")]


def test_features_of_another_tower_are_made_anew(
    tiny_llava: Path, prepared: Path, tmp_path: Path, tower_calls: list[str]
) -> None:
    clips = clips_of(prepared, "train", "validation")
    view = "--model.backbone.init_args.view={left: 0.1, top: 0, right: 0.9, bottom: 1}"
    other = ["--model.backbone.init_args.train=[vision,projector,language]"]
    for number, (options, calls) in enumerate([([], clips), ([], 0), ([view], clips), ([view], 0)]):
        tower_calls.clear()
        assert main(["fit", *arguments(tmp_path / str(number), tiny_llava, prepared), *options]) == 0
        assert len(tower_calls) == calls
    assert main(["fit", *arguments(tmp_path / "trained", tiny_llava, prepared), *other]) == 0
    assert len([*(tmp_path / "features").iterdir()]) == 2


def test_features_that_are_too_large_are_not_kept(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    few = fit(tmp_path / "few", tiny_llava, prepared, "--data.features_gb=0.00001")
    assert "more than features_gb 1e-05: none is kept, and the frozen tower runs" in capsys.readouterr().err
    assert not [*(tmp_path / "features").rglob("*.safetensors")]
    kept = fit(tmp_path / "kept", tiny_llava, prepared)
    assert (kept / "predictions.jsonl").read_bytes() == (few / "predictions.jsonl").read_bytes()


def test_another_run_may_fill_the_folder_meanwhile(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was room for all of them when the run looked first."""
    write, other = FeatureFiles.write, tmp_path / "features" / "other-tower" / "clip.safetensors"

    def beside_another(self: FeatureFiles, clip: str, features: torch.Tensor) -> None:
        write(self, clip, features)
        if not other.is_file():
            other.parent.mkdir()
            other.write_bytes(bytes(10_000_000))

    monkeypatch.setattr(FeatureFiles, "write", beside_another)
    filled = fit(tmp_path / "filled", tiny_llava, prepared, "--data.features_gb=0.01")
    assert (
        "another run wrote some too, with 0.01 GB that are there more than features_gb 0.01" in capsys.readouterr().err
    )
    assert len([*(tmp_path / "features").rglob("*.safetensors")]) == 2
    none = fit(tmp_path / "none", tiny_llava, prepared, "--data.features=null")
    assert (filled / "predictions.jsonl").read_bytes() == (none / "predictions.jsonl").read_bytes()


def test_what_a_killed_run_left_is_kept_and_the_rest_is_made(
    tiny_llava: Path, prepared: Path, tmp_path: Path, tower_calls: list[str]
) -> None:
    run = [*arguments(tmp_path / "run", tiny_llava, prepared), "--run.overwrite=true"]
    assert main(["fit", *run]) == 0
    files = sorted((tmp_path / "features").rglob("*.safetensors"))
    for file in files[::2]:
        os.truncate(file.rename(file.with_name(f".{file.name}.1.tmp")), 10)  # as a killed writer leaves it
    tower_calls.clear()
    assert main(["fit", *run]) == 0
    assert len(tower_calls) == len(files[::2])


def test_damaged_features_are_named(
    tiny_llava: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run = [*arguments(tmp_path / "run", tiny_llava, prepared), "--run.overwrite=true"]
    assert main(["fit", *run]) == 0
    file = sorted((tmp_path / "features").rglob("*.safetensors"))[0]
    for file in (tmp_path / "features").rglob("*.safetensors"):
        os.truncate(file, 10)
    assert main(["fit", *run]) == 1
    assert "is gone or damaged" in capsys.readouterr().err.splitlines()[-1]


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    one, other = (FeatureFiles(tmp_path, {"weights": "a"}) for _ in range(2))
    features = torch.randn(2, 3, 4)
    for files in (one, other, one):
        files.write("ab12", features)
        assert torch.equal(other.read("ab12"), features)
    assert len([*tmp_path.rglob("*.safetensors")]) == 1
    assert json.loads(next(tmp_path.rglob("model.json")).read_text()) == {"weights": "a"}


def test_writers_and_a_reader_at_the_same_time(tmp_path: Path) -> None:
    """Each reading finds a whole file of one of two processes that write it again and again."""
    contents = [torch.full((4, 16, 256), float(number)) for number in range(2)]
    FeatureFiles(tmp_path, {"weights": "a"}).write("ab12", contents[0])
    writers = [get_context("fork").Process(target=write_often, args=(tmp_path, content)) for content in contents]
    for writer in writers:
        writer.start()
    found = set()
    while any(writer.is_alive() for writer in writers):
        values = FeatureFiles(tmp_path, {"weights": "a"}).read("ab12").unique().tolist()
        assert len(values) == 1
        found.update(values)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert found == {0.0, 1.0}
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2  # no draft is left


def write_often(folder: Path, content: torch.Tensor) -> None:
    files = FeatureFiles(folder, {"weights": "a"})
    for _ in range(200):
        files.write("ab12", content)


def test_a_batch_is_light(tiny_llava: Path, prepared: Path) -> None:
    """From a loader's process come the model's inputs, each clip's once, and no raw frames."""
    backbone = Llava(str(tiny_llava))
    backbone.load()
    data = ClipDataModule(prepared)
    data.setup("fit")
    dataset, collator = data.datasets["train"], backbone.collator()
    dataset.prepare_for(collator.pixel_values, None)
    batch = collator(dataset.__getitems__(range(8)))
    pixels = batch.visual["pixel_values"]
    assert len(pixels) == 4  # two tasks a clip
    raw = dataset.decode(0).nbytes
    held = pixels.nbytes + batch.gaze.nbytes
    sent = BytesIO()
    assert held + sum(tensor.nbytes for tensor in batch.inputs.values()) < 1.2 * pixels.nbytes
    ForkingPickler(sent, pickle.HIGHEST_PROTOCOL).dump(batch.clips)
    assert sent.tell() < raw / 4
    assert all(clip.frames is None and not clip.visual for clip in batch.clips)
    # A tensor that was sent stays in shared memory, an open file, for as long as a loader keeps its clip.
    received = pickle.loads(sent.getvalue())
    for clip, other in zip(batch.clips, received, strict=True):
        assert not clip.gaze.xy.is_shared()
        assert not clip.gaze.weight.is_shared()
        assert torch.equal(other.gaze.xy, clip.gaze.xy)
        assert torch.equal(other.gaze.weight, clip.gaze.weight)


def test_a_batch_of_large_frames_takes_at_most_4_mib() -> None:
    """All that a loader's process hands over of 4 clips of 8 of Ego4D's frames, to the model that ships."""
    backbone = Llava(str(shipped_checkpoints()["kitchen-llava"]))
    backbone.load()
    frames = torch.zeros(8, 3, 1080, 1088, dtype=torch.uint8)
    clips = [replace(make_clip(number, frames=8), frames=frames) for number in range(4)]
    assert len(clips) * frames.nbytes > 100 * 2**20
    assert len(pickle.dumps(backbone.collator()(clips))) <= 4 * 2**20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory needs a GPU")
def test_a_batch_is_pinned(tiny_llava: Path, prepared: Path) -> None:
    backbone = Llava(str(tiny_llava))
    backbone.load()
    data = ClipDataModule(prepared)
    data.setup("fit")
    batch = backbone.collator()(data.datasets["train"].__getitems__(range(2))).pin_memory()
    assert batch.visual["pixel_values"].is_pinned()
    assert batch.inputs["labels"].is_pinned()
