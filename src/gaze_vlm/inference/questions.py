"""What a model is asked of windows, and how long they are: as a run was trained, where that is known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.command_line.composition import read_yaml
from gaze_vlm.datamodules.clip import PROMPTS
from gaze_vlm.errors import InputError
from gaze_vlm.inference.exported import is_export, read_settings
from gaze_vlm.inference.windows import MOST_FRAMES, WindowTimes
from gaze_vlm.json_files import shown
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.records import Task
from gaze_vlm.preparation.store import clip_times, read_manifest
from gaze_vlm.runs.directory import RunDirectory

FRAME_HZ, OBSERVATION_S = 1.0, 5.0  # of a model of which nothing is known: the paper's clips


@dataclass(frozen=True)
class Question:
    """A prompt, and the task that it asks for, None for one's own."""

    prompt: str
    task: Task | None = None


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on: its questions, and the times of its clips where they are known."""

    prompts: Mapping[Task, str] = field(default_factory=lambda: PROMPTS)
    times: Mapping[str, float] = field(default_factory=dict)


def trained_on(model: str) -> TrainedOn:
    """Read what a run or an export was trained on; nothing is known of another model.

    Raises:
        InputError: the model is given gaze, which a video alone does not have.
    """
    if is_export(Path(model)):
        return _of_export(Path(model))
    config = RunDirectory(Path(model)).config
    if not config.is_file():
        return TrainedOn()
    data: Any = read_yaml(config).get("data")
    if not isinstance(data, Mapping):
        raise InputError(f"{config} is damaged (it has no data): train the run again")
    _check_reads_no_gaze(model, data.get("gaze_input", "none"))
    return TrainedOn(PROMPTS | (data.get("prompts") or {}), _times_of(Path(str(data.get("store")))))


def _of_export(folder: Path) -> TrainedOn:
    settings = read_settings(folder)
    _check_reads_no_gaze(str(folder), settings.gaze_input)
    clip = settings.clip and ClipShape(**settings.clip)
    times = {"frame_hz": clip.frame_hz, "observation_s": clip.observation_s} if clip else {}
    return TrainedOn(PROMPTS | settings.prompts, times)


def _check_reads_no_gaze(model: str, gaze_input: object) -> None:
    if gaze_input != "none":
        raise InputError(
            f"{model} reads gaze beside the frames (data.gaze_input is {shown(gaze_input)}), which videos alone do not "
            "have: choose a model that was trained without"
        )


def _times_of(store: Path) -> dict[str, float]:
    return clip_times(read_manifest(store), store) if StoreFiles(store).manifest.is_file() else {}


def questions_of(trained: TrainedOn, prompts: Sequence[str] | None) -> list[Question]:
    """List what is asked: one's own prompts, or both tasks.

    Raises:
        InputError: a prompt is empty, or is there twice.
    """
    if prompts is None:
        return [Question(prompt, task) for task, prompt in trained.prompts.items()]
    if not prompts or not all(prompt.strip() for prompt in prompts) or len(set(prompts)) < len(prompts):
        raise InputError("--prompt is empty or there twice: give each question once, or leave it out for both tasks")
    return [Question(prompt) for prompt in prompts]


def window_times(
    trained: TrainedOn,
    backbone: Backbone,
    observation_s: float | None = None,
    stride_s: float | None = None,
    frame_hz: float | None = None,
) -> WindowTimes:
    """Choose the times of windows: given ones, else those of the training, else five seconds at one frame a second.

    Those last follow each other without a gap, and are as much longer as the model's frame groups ask for.

    Raises:
        InputError: the window's frames are not whole frame groups of the model; or see `WindowTimes`.
    """
    group = backbone.layout.frames_per_group
    hz = frame_hz or trained.times.get("frame_hz", FRAME_HZ)
    frames = min(OBSERVATION_S * hz, MOST_FRAMES + 1)
    length_s = observation_s or trained.times.get("observation_s", group * math.ceil(frames / group) / hz)
    times = WindowTimes(length_s, stride_s or trained.times.get("stride_s", length_s), hz)
    if times.frames % group:
        raise InputError(
            f"observation_s {length_s:g} at frame_hz {hz:g} makes {times.frames} frames, of which the model takes "
            f"{group} as one: give another --observation_s or --frame_hz"
        )
    return times
