"""Any model of ours, with a gaze block too, under lmms-eval's benchmarks; docs/export.md shows its use.

lmms-eval imports it, which is no dependency of this package.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import torch
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.protocol import ChatMessages
from PIL.Image import Image

from gaze_vlm.backbones.loading import Dtype
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.errors import InputError
from gaze_vlm.home import in_home
from gaze_vlm.inference.clips import answer, clip_of_frames
from gaze_vlm.inference.exported import is_export, read_settings
from gaze_vlm.inference.media import frames_of_images, frames_of_video, in_whole_groups
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.progress import track

FRAMES = 8
"""Of a video, where it is not known how many the training had."""


class GazeVlmForEvaluation(lmms):
    """Serves what `load_backbone` loads.

    A question's images, or its video, become one clip, in their order and before the text, as in training. Answers are
    greedy.

    Args:
        pretrained: a run, an exported folder, a checkpoint.
        device: for the model. Of several processes, each takes the GPU of its rank.
        batch_size: questions at a time.
        frames: taken of a video, evenly, the last at its end. None is as many as an export's clips had, else 8.
        dtype: of the weights; None is the model's own.
        others: `max_batch_size`, which lmms-eval gives to every model; nothing else.

    Raises:
        InputError: an option is unknown or out of its range, or there is no such model.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str,
        device: str = "cuda",
        batch_size: int | str = 1,
        frames: int | None = None,
        dtype: Dtype | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        if unknown := sorted(set(others) - {"max_batch_size"}):
            raise InputError(f"--model_args: no {', '.join(unknown)}; there are pretrained, frames and dtype")
        pretrained = in_home(pretrained)
        self.frames = frames_of_training(pretrained) if frames is None else frames
        for name, value in (("--batch_size", batch_size), ("--model_args frames", self.frames)):
            if not str(value).isdecimal() or int(value) < 1:
                raise InputError(f"{name} is {value}: give a whole number, 1 or more")
        self.batch_size = int(batch_size)
        rank = os.environ.get("LOCAL_RANK")
        self.device = torch.device(f"cuda:{rank}" if device == "cuda" and rank is not None else device)
        options = {} if dtype is None else {"dtype": dtype}
        self.backbone = load_backbone(pretrained, **options).to(self.device)
        self.own_limit = self.backbone.options.max_new_tokens

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """Answer the questions of a task.

        Raises:
            InputError: a question shows nothing, both images and videos, or sound.
        """
        texts: dict[int, str] = {}
        batches = [range(len(requests))[at : at + self.batch_size] for at in range(0, len(requests), self.batch_size)]
        for batch in track(batches, "answers"):
            alike: dict[tuple[int, int], list[tuple[int, Clip]]] = defaultdict(list)
            for number in batch:
                clip = self.clip_of(requests[number], f"question {number}")
                limit = int(_generation(requests[number]).get("max_new_tokens") or self.own_limit)
                alike[limit, len(clip.frame_times_s)].append((number, clip))
            for (limit, _), asked in alike.items():
                self.backbone.options = replace(self.backbone.options, max_new_tokens=limit)
                answers = answer(self.backbone, [clip for _, clip in asked])
                texts |= {number: text for (number, _), text in zip(asked, answers, strict=True)}
            for number in batch:
                context, options = requests[number].args[0], _generation(requests[number])
                texts[number] = before(texts[number], options.get("until") or [])
                self.cache_hook.add_partial("generate_until", (context, options), texts[number])
        return [texts[number] for number in range(len(requests))]

    def clip_of(self, request: Instance, clip_id: str) -> Clip:
        """Make the clip of a question."""
        _, messages_of, _, doc_id, task, split = request.args
        messages = ChatMessages(messages=messages_of(self.task_dict[task][split][doc_id]))
        contents = [content for message in messages.messages for content in message.content]
        shown = [content for content in contents if content.type != "text"]
        kinds = {content.type for content in shown}
        if kinds == {"image"} and all(isinstance(content.url, Image) for content in shown):
            frames = frames_of_images([content.url for content in shown])
            times_s = [float(number + 1) for number in range(len(frames))]
        elif kinds == {"video"} and len(shown) == 1 and isinstance(shown[0].url, str):
            video = shown[0]
            frames, times_s = frames_of_video(Path(video.url), self.frames, video.start_time, video.end_time)
        else:
            found = ", ".join(f"{len([one for one in shown if one.type == kind])} {kind}" for kind in sorted(kinds))
            raise InputError(
                f"{task}, {clip_id}: it shows {found or 'nothing'}; the model takes images, or one video file: leave "
                "the task out"
            )
        collator = self.backbone.collator()
        frames, times_s = in_whole_groups(frames, times_s, collator.frames_per_group)
        text = "\n".join(content.text for content in contents if content.type == "text")
        return clip_of_frames(frames, times_s, collator.special_tokens.sub("", text).strip(), clip_id)

    def loglikelihood(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse: questions are answered, not ranked.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("gaze_vlm answers questions: choose tasks whose output_type is generate_until")

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:
        """Refuse: it was trained on one question at a time.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("gaze_vlm answers one question at a time: choose tasks of one round")


def frames_of_training(model: str) -> int:
    """Return how many frames a clip had in a model's training, where it is an export that says so."""
    clip = read_settings(Path(model)).clip if is_export(Path(model)) else None
    return FRAMES if clip is None else int(clip["frames"])


def _generation(request: Instance) -> Mapping[str, Any]:
    options: Mapping[str, Any] = request.args[2]
    return options


def before(text: str, stops: str | Sequence[str]) -> str:
    """Return a text up to the first of some strings that it holds.

    Args:
        text: an answer.
        stops: the strings; empty ones are none.
    """
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0] if stop else text
    return text
