"""`gaze-vlm export`: a run's model for others, with the page that says what it is; docs/export.md shows its use."""

from pathlib import Path

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.comparison.runs import Run, read_run
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.errors import InputError
from gaze_vlm.export.model_card import CARD, model_card
from gaze_vlm.output import check_new_folder, draft_folder, writing
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.records import Manifest
from gaze_vlm.preparation.store import clip_times, read_manifest
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.configured import load_run
from gaze_vlm.training.export import Form, export_backbone


def export(run: Path, output: Path, form: Form = "whole") -> Path:
    """Write a run's model as a checkpoint folder of `transformers`, or what was trained of it alone.

    A folder holds safetensors, config, processor with chat template, generation config and a model card. Trained beside
    weights of 4 bits, LoRA is merged into the base model's full ones.

    Args:
        run: directory of a finished run.
        output: folder to write, new or empty.
        form: `whole` is the model, with LoRA merged. `adapter` is LoRA for peft, with parts that were trained in full
            and the gaze block. `block` is the gaze block, where nothing else was trained.

    Raises:
        InputError: the run is not finished, or has no such form, or the folder holds something.
    """
    check_new_folder(output)
    cli = load_run(run, quantization=None)
    data: ClipDataModule = cli.datamodule
    manifest = manifest_of(data)
    clip = None if manifest is None else clip_shape(manifest, data.store_path)
    card = model_card(cli, form, manifest, clip, run_as_tested(run))
    with draft_folder(output) as draft, writing(output):
        export_backbone(cli.model.backbone, draft, form, clip, data.prompts, data.gaze_input)
        (draft / CARD).write_text(card, encoding="utf-8")
    print(f"wrote {output}; {output / CARD} says what it is and how to load it")
    return output


def manifest_of(data: ClipDataModule) -> Manifest | None:
    """Read what the run's store says of itself; None where the store is not here any more."""
    return read_manifest(data.store_path) if StoreFiles(data.store_path).manifest.is_file() else None


def clip_shape(manifest: Manifest, store: Path) -> ClipShape:
    """Return the shape of a store's clips.

    Raises:
        InputError: the manifest does not say.
    """
    times = clip_times(manifest, store)
    return ClipShape(round(times["frame_hz"] * times["observation_s"]), times["frame_hz"])


def run_as_tested(run: Path) -> Run | None:
    """Read a run's test; None where it was not tested, or not whole."""
    if RunDirectory(run).missing:
        return None
    try:
        return read_run(run)
    except InputError as error:
        rank_zero_warn(f"the model card has no scores: {error}")
        return None
