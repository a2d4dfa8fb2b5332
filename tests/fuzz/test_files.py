"""Files that a stranger may have written: whatever is in them, a reader reads them or says what is wrong.

A short part runs by default; `make fuzz` draws many more.
"""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import yaml
from damage import Damage, damaged_bytes, damaged_json, damaged_text, damaged_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watched import check_read

import ego4d_files
from fake_runs import answers, rows, write_run
from gaze_vlm.backbones.export_files import SETTINGS
from gaze_vlm.comparison.contamination import overlap, overlaps
from gaze_vlm.comparison.published import read_published
from gaze_vlm.comparison.runs import read_run
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.datamodules.targets import read_targets
from gaze_vlm.digests import SUMS, sum_beside
from gaze_vlm.errors import InputError
from gaze_vlm.export.licences import base_licence
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.glc import read_frame_labels, read_untracked_spans
from gaze_vlm.formats.video import timed_frames
from gaze_vlm.formats.video_header import video_info
from gaze_vlm.inference.caption_file import Caption, MadeOf, open_captions
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.questions import trained_on
from gaze_vlm.json_files import read_json, write_json
from gaze_vlm.look.frames import frames_of_images
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.quality import readable_page
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

SHORT, LONG = 8, 1500


@dataclass
class Target:
    """A file, how it is damaged, and what reads it: given the folder that it is in."""

    folder: Path
    file: str
    damage: Damage
    read: Callable[[Path], object]
    named: tuple[str, ...] = ()
    cost: int = 1  # how many times fewer examples

    def check(self, seed: int) -> None:
        """Damage the file by a seed, read what is in the folder, and put the file back."""
        path, rng = self.folder / self.file, random.Random(seed)
        whole = path.read_bytes()
        try:
            path.write_bytes(self.damage(whole, rng))
            check_read(lambda _: self.read(self.folder), path, self.named or (path.name, path.stem), seed % 4 == 0)
        finally:
            path.write_bytes(whole)


def read_all(folder: Path, reader: type) -> None:
    opened = reader(folder)
    for recording in opened.recordings():
        if recording.gaze is not None:
            opened.read_gaze(recording)
    assert len(opened.verbs) >= 0
    opened.left_out()


def read_store(folder: Path) -> None:
    store = Store(folder)
    for video_id in store.manifest.videos:
        store.video(video_id)
        store._video_path(video_id, None)
    overlap.__wrapped__(folder, folder)


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


def read_frames(folder: Path) -> None:
    video = folder / "a.mp4"
    video_info(video)
    sum(1 for _ in timed_frames(video))


def folder_of(root: Path, gaze: str, text: str) -> Path:
    root.mkdir()
    (root / "videos").mkdir()
    (root / "videos" / "a.mp4").touch()
    (root / "gaze" / gaze).parent.mkdir(parents=True)
    (root / "gaze" / gaze).write_text(text)
    (root / "captions.csv").write_text("video_id,second,text\na,0,chops an onion\na,3,cuts a cup\n")
    (root / "participants.csv").write_text("video_id,participant\na,P01\n")
    return root


@pytest.fixture(scope="module")
def targets(raw_root: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """Every kind of file, by name."""
    place, number = tmp_path_factory.mktemp("fuzz"), count()

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, place / f"copy{next(number)}"))

    made: dict[str, Target] = {}
    raw, labels = copy(raw_root), "action_annotation"
    for path in (raw / "videos").glob("*.mp4"):
        path.write_bytes(b"")
    for name in ("P01-R01-Pizza", "P01-R02-Salad"):
        egtea = (f"{name}", "gaze_data")
        made[f"egtea gaze {name}"] = Target(raw, f"gaze_data/{name}.txt", damaged_text, read_egtea, egtea, 8)
    for file in ("verb_idx.txt", "noun_idx.txt", "action_idx.txt", "raw_annotations/action_labels.csv"):
        made[f"egtea {file}"] = Target(raw, f"{labels}/{file}", damaged_text, read_egtea, (labels,), 4)
    ego4d = ego4d_files.write_root(place / "ego4d", ego4d_files.TRAIN_UIDS[:2], videos=False)
    uid = ego4d_files.TRAIN_UIDS[0]
    for file, way in {
        "ego4d.json": damaged_json,
        "v2/annotations/narration.json": damaged_json,
        f"v2/gaze/{uid}.csv": damaged_text,
    }.items():
        made[f"ego4d {file[-14:]}"] = Target(ego4d, file, way, lambda folder: read_all(folder, Ego4dReader), (), 4)
    (place / "glc").mkdir()
    (place / "glc" / "labels.csv").write_text("frame,x,y,gaze_type\n0,0.5,0.5,1\n1,0.4,0.2,2\n2,0,0,0\n")
    (place / "glc" / "spans.csv").write_text("a,00:00:01,00:00:02\nb,00:10:01,01:00:02\n")
    made["glc labels"] = Target(
        place / "glc", "labels.csv", damaged_text, lambda folder: read_frame_labels(folder / "labels.csv")
    )
    made["glc spans"] = Target(
        place / "glc", "spans.csv", damaged_text, lambda folder: read_untracked_spans(folder / "spans.csv")
    )
    samples = "".join(f"{i},0.5,0.2,1\n" for i in range(9))
    generic = folder_of(place / "generic", "a.csv", f"t_s,x,y,confidence\n{samples}")
    take = folder_of(place / "take", "a.csv", "frame_num,tracking_timestamp_us,x,y\n0,1,704,352\n3,2,70,3\n")
    pupil = folder_of(
        place / "pupil",
        "a/gaze.csv",
        "timestamp [ns],gaze x [px],gaze y [px],worn,fixation id,blink id\n"
        + "".join(f"{1000 + i},64,24,1,{i},\n" for i in range(9)),
    )
    (pupil / "gaze" / "a" / "world_timestamps.csv").write_text("timestamp [ns]\n1000\n2000\n")

    def read_folder(folder: Path) -> None:
        opened = FolderReader(folder, frame_width_px=128, frame_height_px=96)
        for recording in opened.recordings():
            if recording.gaze is not None:
                opened.read_gaze(recording)
        opened.left_out()

    for name, root, file in (
        ("generic", generic, "gaze/a.csv"),
        ("captions", generic, "captions.csv"),
        ("participants", generic, "participants.csv"),
        ("take", take, "gaze/a.csv"),
        ("pupil", pupil, "gaze/a/gaze.csv"),
        ("world", pupil, "gaze/a/world_timestamps.csv"),
    ):
        made[f"folder {name}"] = Target(root, file, damaged_text, read_folder, (str(root),))
    (place / "video").mkdir()
    shutil.copy(raw_root / "videos" / "P01-R01-Pizza.mp4", place / "video" / "a.mp4")
    made["video"] = Target(place / "video", "a.mp4", damaged_bytes, read_frames, (), 16)

    (place / "images").mkdir()
    (place / "images" / "a.png").write_bytes(cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))[1])
    made["image"] = Target(
        place / "images", "a.png", damaged_bytes, lambda folder: frames_of_images([folder]), (str(place),)
    )

    store = copy(prepared)
    of_store = (str(store),)
    made["manifest"] = Target(store, "manifest.json", damaged_json, read_store, of_store)
    made["clips"] = Target(store, "clips.parquet", damaged_bytes, read_store, of_store)
    made["video gaze"] = Target(store, "videos/P01-R01-Pizza.safetensors", damaged_bytes, read_store, of_store)
    made["quality"] = Target(
        store,
        "quality.json",
        damaged_json,
        lambda folder: readable_page("a", "b", read_json(folder / "quality.json", "again"), b"", folder),
    )

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
    other = copy(checkpoint.parent)
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


IDENTITY = {"backbone": "Llava", "grid": "8 × 8", "block": None, "lora": None}
IDENTITY |= {"base_checkpoint": "tiny", "lambda": 1.0, "floor": 1e-3, "made_by": {"arm": "gaze", "options": {"a": 1}}}
WEIGHTS = {"weight": torch.arange(6.0).reshape(2, 3)}


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


def read_egtea(folder: Path) -> None:
    read_all(folder, EgteaReader)


NAMES = (
    "egtea gaze P01-R01-Pizza",
    "egtea gaze P01-R02-Salad",
    "egtea verb_idx.txt",
    "egtea noun_idx.txt",
    "egtea action_idx.txt",
    "egtea raw_annotations/action_labels.csv",
    "ego4d ego4d.json",
    "ego4d narration.json",
    f"ego4d {ego4d_files.TRAIN_UIDS[0][-10:]}.csv",
    "glc labels",
    "glc spans",
    "folder generic",
    "folder captions",
    "folder participants",
    "folder take",
    "folder pupil",
    "folder world",
    "video",
    "image",
    "manifest",
    "clips",
    "video gaze",
    "quality",
    "run.json",
    "metrics.json",
    "state.json",
    "predictions.jsonl",
    "config.yaml",
    "run config",
    "training.json",
    "loggers.json",
    "alignment",
    "captions c.jsonl",
    "captions c.made_of.json",
    "base model's page",
    "export settings",
    "published",
    "targets",
    "digest",
    "checkpoint",
    "checkpoint values",
    "sharded sums",
    "sharded rest",
    "shard",
)


def check(target: Target, examples: int) -> None:
    suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large]

    @settings(max_examples=max(3, examples // target.cost), deadline=None, suppress_health_check=suppressed)
    @given(st.integers(0, 2**32 - 1))
    def any_seed(seed: int) -> None:
        target.check(seed)

    any_seed()


def test_every_target_is_tried(targets: dict[str, Target]) -> None:
    assert sorted(targets) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_read_or_refused_in_a_line(targets: dict[str, Target], name: str) -> None:
    check(targets[name], SHORT)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", NAMES)
def test_thousands_of_damaged_files(targets: dict[str, Target], name: str) -> None:
    check(targets[name], LONG)
