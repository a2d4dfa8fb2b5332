"""Files of runs, of checkpoints and of what is made with them, to damage."""

import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from damage import damaged_bytes, damaged_json, damaged_text, damaged_yaml
from target import Target

from fake_runs import answers, rows, write_run
from gaze_vlm.backbones.export_files import SETTINGS
from gaze_vlm.comparison.contamination import overlaps
from gaze_vlm.comparison.published import read_published
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.datamodules.targets import read_targets
from gaze_vlm.digests import SUMS, sum_beside
from gaze_vlm.errors import InputError
from gaze_vlm.export.licences import base_licence
from gaze_vlm.inference.caption_file import Caption, MadeOf, open_captions
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.questions import trained_on
from gaze_vlm.json_files import read_json, write_json
from gaze_vlm.runs.alignment import Alignment, read_alignment, write_alignment
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.checkpoint import check_belongs
from gaze_vlm.training.checkpoint_files import read_checkpoint, write_checkpoint
from gaze_vlm.training.configured import configure
from gaze_vlm.training.export import write_settings
from gaze_vlm.training.loggers import CONTINUED_BY, name_known_runs
from gaze_vlm.training.sharded_checkpoint import REST, read_parts
from gaze_vlm.training.training_facts import read_cost
from sharded_writers import process_alone, write

IDENTITY = {"backbone": "Llava", "grid": "8 × 8", "block": None, "lora": None}
IDENTITY |= {"base_checkpoint": "tiny", "lambda": 1.0, "floor": 1e-3, "made_by": {"arm": "gaze", "options": {"a": 1}}}
WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3)}


def run_targets(place: Path, prepared: Path) -> dict[str, Target]:
    """Each kind of file by name, with what reads it; they are written below `place`."""
    made: dict[str, Target] = {}
    captions, made_of = place / "captions" / "c.jsonl", MadeOf("m", {"weights": "0"}, {"v.mp4": "1 0"}, {})
    with open_captions(captions, made_of, 1) as opened_captions:
        opened_captions.append([Caption("v.mp4", 0.0, 4.0, task, "Why?", "so") for task in ("activity", None)])
        opened_captions.note(is_finished=True)

    def read_captions(folder: Path) -> None:
        with open_captions(folder / captions.name, made_of, 1):
            pass

    for file, way in {"c.jsonl": damaged_text, "c.made_of.json": damaged_json}.items():
        made[f"captions {file}"] = Target(captions.parent, file, way, read_captions, (captions.stem,))

    right = np.concatenate([answers(3, 0.5, 0)])
    run = write_run(place / "run", rows(right, kl=1.5), "gaze", seed=1, weight=1.0)
    config = {"data": {"store": str(prepared), "test_split": "test"}, "run": {"arm": "gaze"}, "seed_everything": 1}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    directory = RunDirectory(run)
    directory.write_state("finished")
    for file, way in {
        "run.json": damaged_json,
        "metrics.json": damaged_json,
        "state.json": damaged_json,
        "predictions.jsonl": damaged_json,
        "config.yaml": damaged_yaml,
    }.items():
        made[file] = Target(run, file, way, read_results, (str(run),))
    trained = place / "trained"
    (trained / "checkpoints").mkdir(parents=True)
    config = ["--config=kitchen/gaze", f"--run.dir={trained}", f"--data.store={prepared}"]
    (trained / "config.yaml").write_text(printed_config(config))
    configure_run(trained)  # what it imports is no part of a read
    of_values = ("",)  # a class that refuses a value names its own option, and no file
    made["run config"] = Target(trained, "config.yaml", damaged_yaml, configure_run, of_values, 2)
    write_json(directory.cost, {"train_seconds": 1.5, "resumes": 2, "device": "a"})
    made["training.json"] = Target(run, "training.json", damaged_json, lambda folder: read_cost(RunDirectory(folder)))
    write_json(directory.logger_ids, {"WandbLogger": "drawn", "MLFlowLogger": "8b99"})
    made["loggers.json"] = Target(run, "loggers.json", damaged_json, name_logger_runs)
    scores = {name: np.arange(6).reshape(2, 3) / 7 for name in ("kl", "nss", "auc")}
    write_alignment(run / "alignment.json", Alignment("vision", (3, 7), (0, 1, 2), dict.fromkeys(scores, 5), scores))
    made["alignment"] = Target(
        run, "alignment.json", damaged_json, lambda folder: read_alignment(folder / "alignment.json")
    )
    published = "arm,task,metric,value,measured_on\ngaze,activity,noun,1.5,Ego4D\ncontrol,future,semantic,2,Ego4D\n"
    (place / "published").mkdir()
    (place / "published" / "a.csv").write_text(published)
    base = place / "base"
    base.mkdir()
    (base / "README.md").write_text("---\nlicense: apache-2.0\ntags: [a]\n---\n# A base model\n")
    exported = place / "exported"
    exported.mkdir()
    made_with = {"clip": {"frames": 2, "frame_hz": 1.0}, "prompts": PROMPTS, "gaze_input": "none"}
    write_settings(load_backbone("kitchen-llava"), exported, made_with)
    made["export settings"] = Target(
        exported, SETTINGS, damaged_json, lambda folder: trained_on(str(folder)), (str(exported),)
    )
    made["base model's page"] = Target(base, "README.md", damaged_text, lambda folder: base_licence(str(folder)))
    made["published"] = Target(
        place / "published", "a.csv", damaged_text, lambda folder: read_published(folder / "a.csv")
    )
    (place / "targets").mkdir()
    (place / "targets" / "a.jsonl").write_text(
        '{"video_id": "a", "time_s": 1, "kind": "point", "x": 0.25, "y": 0.5}\n'
        '{"video_id": "a", "time_s": 1, "kind": "box", "left": 0.1, "top": 0.2, "right": 0.3, "bottom": 0.4}\n'
        '{"video_id": "a", "time_s": 2, "kind": "mask", "rle": {"size": [2, 2], "counts": [1, 2, 1]}}\n'
        '{"video_id": "a", "time_s": 2, "kind": "mask", "rle": {"size": [2, 2], "counts": "121"}}\n'
    )
    made["targets"] = Target(
        place / "targets",
        "a.jsonl",
        damaged_json,
        lambda folder: read_targets(folder / "a.jsonl", ["a"], 0.1).regions("a", [1.0, 2.0], 0.1, 1.3),
    )
    checkpoint = place / "checkpoint" / "best.ckpt"
    write_checkpoint({"gaze_vlm": {}, "state_dict": {"weight": torch.arange(50.0)}, "epoch": 1}, checkpoint)
    made["digest"] = Target(
        checkpoint.parent,
        sum_beside(checkpoint).name,
        damaged_text,
        lambda folder: read_checkpoint(folder / "best.ckpt"),
    )
    values = {"gaze_vlm": IDENTITY, "state_dict": {"weight": WEIGHTS["weight"].tolist()}}
    write_json(place / "values.json", values)
    made["checkpoint values"] = Target(place, "values.json", damaged_json, check_values)
    other = Path(shutil.copytree(checkpoint.parent, place / "without_sum"))
    sum_beside(other / "best.ckpt").unlink()
    made["checkpoint"] = Target(other, "best.ckpt", damaged_bytes, lambda folder: read_checkpoint(folder / "best.ckpt"))
    with process_alone(place) as mesh:
        write(place / "last.ckpt", mesh, 1.0)
    shards, *_ = (place / "last.ckpt").glob("*.safetensors")
    sharded = place / "last.ckpt"
    made["sharded sums"] = Target(sharded, SUMS, damaged_text, read_checkpoint, (sharded.name,))
    made["sharded rest"] = Target(sharded, REST, damaged_bytes, read_parts, (sharded.name,))
    made["shard"] = Target(sharded, shards.name, damaged_bytes, read_parts, (sharded.name,))
    return made


def read_results(folder: Path) -> None:
    run = read_run(folder)
    overlaps({(run.dataset, run.dataset): run}, {})
    str(RunDirectory(folder).state)


def printed_config(args: list[str]) -> str:
    """Every option with its value, as `fit --print_config` has it and a run's config.yaml."""
    cli = configure(args)
    return str(cli.parser.dump(cli.config))


def configure_run(folder: Path) -> None:
    configure([f"--config={folder / 'config.yaml'}", "--trainer.accelerator=cpu"])  # whose driver is not asked for GPUs


def check_values(folder: Path) -> None:
    """As a checkpoint's, whose weights stand in JSON as lists."""
    held = read_json(folder / "values.json", "again")
    state = held.get("state_dict") if isinstance(held, dict) else None
    if isinstance(state, dict) and isinstance(state.get("weight"), list):
        with suppress(TypeError, ValueError, RuntimeError, OverflowError):
            state["weight"] = torch.tensor(state["weight"])
    if isinstance(held, dict):
        try:
            check_belongs(held, IDENTITY, WEIGHTS, resumes=True)
        except InputError as error:
            raise InputError(f"values: {error}") from error


def name_logger_runs(folder: Path) -> None:
    services = [SimpleNamespace(class_path=f"loggers.{name}", init_args={}) for name in CONTINUED_BY]
    name_known_runs(services, RunDirectory(folder))
