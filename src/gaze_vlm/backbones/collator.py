"""From clips to one batch of model inputs; runs in the loader's workers, so it holds processors and no model."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from gaze_vlm.attention.sources import IGNORED, NO_PLACEHOLDER
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import visible
from gaze_vlm.gaze.mixture import GazeMixture, average_groups
from gaze_vlm.gaze.view import Grid, View

Media = Literal["image", "video"]
KEPT_TEXTS = 2**16  # samples whose token ids are kept
TEMPLATE_TOKENS = 8  # more than any template writes into an answer, such as the space before it and its end


def one_per_group(token: str, times_s: Sequence[float]) -> str:
    """Write an image or a video as one placeholder a frame group, without times."""
    return token * len(times_s)


@dataclass
class Collator:
    """Collates clips for a backbone.

    Its processor is a tokenizer with a chat template and an image processor.

    Args:
        processor: the checkpoint's own processor.
        media: whether a clip is an image a frame, or one video.
        placeholder: pattern of what the chat template writes for an image or a video.
        write: what stands in its place, from the times of its frame groups; with one visual token a frame group.
        visual_token: id of the placeholder that stands for one visual token, or NO_PLACEHOLDER.
        tokens_per_frame: visual tokens of a frame group in the language model's input.
        tokens_after_clip: visual tokens behind those of a clip's frames.
        frames_per_group: frames that the vision tower takes as one.
        grid: patches of the attention that gaze is compared with.
        height_px, width_px: the frame size that the vision tower takes.
        view: how a frame goes into the model.
        covered_view: the part of the view that the grid covers.
        min_mass_in_view: share of a frame's gaze mass that must be in view for it to count.
        max_target_tokens: tokens of the longest target text, its end of text among them; a longer one is cut.
        context_tokens: tokens that the language model was made for, question and answer together; None is no limit.
        image_options: options of the image or video processor that leave a frame's size as the view made it.
    """

    processor: Any
    media: Media
    placeholder: str
    write: Callable[[Sequence[float]], str]
    visual_token: int
    tokens_per_frame: int
    tokens_after_clip: int
    frames_per_group: int
    grid: Grid
    height_px: int
    width_px: int
    view: View
    covered_view: View
    min_mass_in_view: float
    max_target_tokens: int
    context_tokens: int | None
    image_options: Mapping[str, bool]

    def __call__(self, clips: list[Clip]) -> Batch:
        for clip in clips:
            self.check_frames(clip.clip_id, len(clip.frame_times_s))
            self.check_text(
                clip.target, f"clip {clip.clip_id}: its text", "change it in the data set, and prepare it again"
            )
        tokens = [self.tokenize(clip.prompt, clip.target, clip.frame_times_s) for clip in clips]
        for clip, parts in zip(clips, tokens, strict=True):
            self.check_length(sum(map(len, parts)), f"clip {clip.clip_id}")
        gaze, valid = self.gaze(clips)
        shown = {clip.clip_id: clip for clip in clips}  # by several samples, where a clip has several tasks
        row = {clip_id: number for number, clip_id in enumerate(shown)}
        return Batch(
            inputs=self.with_labels(tokens),
            prompts=self.pad([question for question, _ in tokens]),
            visual=self.visual([*shown.values()]),
            rows=None if len(shown) == len(clips) else torch.tensor([row[clip.clip_id] for clip in clips]),
            gaze=gaze,
            valid=valid,
            clips=[replace(clip, frames=None, visual={}, targets=None) for clip in clips],
            tokens=torch.tensor(float(sum(len(answer) for _, answer in tokens))),
        )

    def visual(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """Make what the model reads of clips' frames, where a clip does not have it yet."""
        made = [clip.visual or {"pixel_values": self.pixel_values(clip.frames)} for clip in clips]  # type: ignore[arg-type]
        visual = {name: torch.stack([one[name] for one in made]) for name in made[0]}
        if self.frames_per_group > 1:
            visual["group_s"] = torch.tensor([self.group_s(clip.frame_times_s) for clip in clips])
        return visual

    def check_frames(self, clip_id: str, frames: int) -> None:
        """Refuse a clip whose frames are not whole frame groups.

        Raises:
            InputError: they are not.
        """
        if frames % self.frames_per_group:
            raise InputError(
                f"clip {clip_id} has {frames} frames, of which the model takes {self.frames_per_group} as one: prepare "
                "with another observation_s (a clip has observation_s × frame_hz frames), or give the backbone "
                "`media: image`"
            )

    @cached_property
    def special_tokens(self) -> re.Pattern[str]:
        """Pattern of the tokenizer's special tokens, which a text must not hold."""
        tokenizer = self.processor.tokenizer
        added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        tokens = sorted(filter(None, added | set(tokenizer.all_special_tokens)), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, tokens)) or r"(?!)")

    def check_text(self, text: str, name: str, fix: str = "write it otherwise") -> None:
        """Refuse a text that holds a special token.

        The text would end there, or the token would stand for an image that is not there.

        Args:
            text: a question or an answer.
            name: of the text, for who reads the error.
            fix: what to do about it.

        Raises:
            InputError: it does.
        """
        if (found := self.special_tokens.search(text)) is not None:
            token = visible(found.group())
            raise InputError(f"{name} {text!r} holds {token}, a special token of the model's tokenizer: {fix}")

    def check_asked(self, text: str, name: str) -> None:
        """Check a text of the user's own as `check_text` does, and warn of words that the tokenizer does not know.

        Args:
            text: a question or an answer.
            name: of the text, for who reads the error or the warning.

        Raises:
            InputError: it holds a special token.
        """
        self.check_text(text, name)
        tokenizer = self.processor.tokenizer
        if tokenizer.unk_token_id in tokenizer(text, add_special_tokens=False)["input_ids"]:
            warnings.warn(
                f"{name} {text!r} has words that the model's tokenizer does not know; it reads "
                f"{visible(tokenizer.unk_token)} in their place",
                stacklevel=2,
            )

    def check_length(self, tokens: int, name: str) -> None:
        """Refuse a clip that the language model was not made for: its answer would be worth nothing.

        Args:
            tokens: of question, frames and answer.
            name: of the clip, for who reads the error.

        Raises:
            InputError: it has more tokens than the model's context.
        """
        if self.context_tokens is not None and tokens > self.context_tokens:
            raise InputError(
                f"{name} is {tokens:,} tokens long with its frames, of which the model takes {self.context_tokens:,}: "
                "give it fewer frames (observation_s, frame_hz) or a shorter text"
            )

    def gaze(self, clips: Sequence[Clip]) -> tuple[Float[Tensor, "clip group patch"], Bool[Tensor, "clip group"]]:
        """Return the patch distribution of each frame group, and whether it is valid.

        It is of the gaze, or of the targets.
        """
        options = self.grid, self.covered_view, self.min_mass_in_view
        targets = [clip.targets for clip in clips if clip.targets is not None]
        if targets:  # of all clips, or of none
            made = [one.on(*options) for one in targets]
            distribution, valid = (torch.stack(parts) for parts in zip(*made, strict=True))
        else:
            distribution, valid = GazeMixture.stack([clip.gaze for clip in clips]).on(*options)
        return average_groups(distribution, valid, self.frames_per_group)

    def group_s(self, times_s: Sequence[float]) -> float:
        """Return the mean time from one frame group to the next, in seconds."""
        return self.frames_per_group * (times_s[-1] - times_s[0]) / (len(times_s) - 1)

    def with_labels(self, tokens: list[tuple[list[int], list[int]]]) -> dict[str, Int[Tensor, "batch token"]]:
        """Make model inputs of tokenized questions and answers, with `labels` on the answers."""
        inputs = self.pad([question + answer for question, answer in tokens])
        labels = self.pad([[IGNORED] * len(question) + answer for question, answer in tokens], IGNORED)
        return {**inputs, "labels": labels["input_ids"]}

    def tokenize(self, prompt: str, target: str, times_s: Sequence[float]) -> tuple[list[int], list[int]]:
        """Return the token ids of the prompt and of the answer.

        The prompt has the visual tokens of frames at these times, the answer its end of text.
        """
        question, answer = self.token_ids(prompt, target, tuple(times_s))
        tokens_of_groups = [self.tokens_per_frame] * (len(times_s) // self.frames_per_group)
        tokens_of_groups[-1] += self.tokens_after_clip
        counts = iter(tokens_of_groups)
        expanded = [token for id_ in question for token in [id_] * (next(counts) if id_ == self.visual_token else 1)]
        if len(answer) > self.max_target_tokens:
            answer = [*answer[: self.max_target_tokens - 1], self.processor.tokenizer.eos_token_id]
        return expanded, answer

    @cached_property
    def token_ids(self) -> Callable[[str, str, tuple[float, ...]], tuple[list[int], list[int]]]:
        """`tokenize` with one placeholder a frame group, remembered by sample."""
        return lru_cache(maxsize=KEPT_TEXTS)(self._token_ids)

    def _token_ids(self, prompt: str, target: str, times_s: tuple[float, ...]) -> tuple[list[int], list[int]]:
        tokenizer = self.processor.tokenizer
        question, answer = self.render(prompt, target, len(times_s))
        ids: list[int] = tokenizer(self.with_media(question, times_s))["input_ids"]
        return ids, self.answer_ids(answer)

    def answer_ids(self, answer: str) -> list[int]:
        """Return all token ids of a rendered answer, with its end of text."""
        tokenizer = self.processor.tokenizer
        ids: list[int] = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        return ids[: ids.index(tokenizer.eos_token_id) + 1]  # templates that close a message write more behind it

    def is_cut(self, target: str) -> bool:
        """Whether a target text is longer than the model trains on, in tokens."""
        if len(target.encode()) < self.max_target_tokens - TEMPLATE_TOKENS:  # a token holds a byte or more
            return False
        _, answer = self.render("", target, 1)
        return len(self.answer_ids(answer)) > self.max_target_tokens

    def with_media(self, question: str, times_s: Sequence[float]) -> str:
        """Write the media in the place of the template's placeholders.

        Args:
            question: a prompt that the template rendered.
            times_s: of the clip's frames.

        Raises:
            InputError: the question has more or fewer placeholders than the clip has media.
        """
        if self.visual_token == NO_PLACEHOLDER:
            return question
        media = [times_s] if self.media == "video" else [[t] for t in times_s]
        found = len(re.findall(self.placeholder, question))
        if found != len(media):
            raise InputError(
                f"the chat template of {self.processor.tokenizer.name_or_path or 'this checkpoint'} left {found} "
                f"{self.media} placeholders for {len(media)}: its template must write one for each {self.media} of a "
                "message"
            )
        texts = iter([self.write(self.group_times_s(times)) for times in media])
        return re.sub(self.placeholder, lambda _: next(texts), question)

    def group_times_s(self, times_s: Sequence[float]) -> list[float]:
        """Return the middle of each frame group, in seconds."""
        last = self.frames_per_group - 1
        return [(times_s[i] + times_s[i + last]) / 2 for i in range(0, len(times_s), self.frames_per_group)]

    def render(self, prompt: str, target: str, frames: int) -> tuple[str, str]:
        """Write prompt and answer by the checkpoint's chat template.

        Args:
            prompt: the question.
            target: the target text.
            frames: how many frames the clip has.

        Raises:
            InputError: the template does not begin an answered chat with the prompt.
        """
        media = [{"type": self.media}] * (1 if self.media == "video" else frames)
        content = [*media, {"type": "text", "text": prompt}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        question: str = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": target}]})
        whole: str = self.processor.apply_chat_template(messages, tokenize=False)
        if not whole.startswith(question):
            raise InputError(
                "the chat template does not begin an answered chat with the prompt itself: fix the template"
            )
        return question, whole.removeprefix(question)

    def pixel_values(self, frames: UInt8[Tensor, "frame 3 _height _width"]) -> Float[Tensor, "group ..."]:
        """Resize and normalise the pixels of a clip, as images or as rows of patches."""
        frames = self.view.pixels(frames, self.height_px, self.width_px)
        if self.media == "video":
            processed = self.processor.video_processor([frames], return_tensors="pt", **self.image_options)
            name = "pixel_values_videos" if "pixel_values_videos" in processed else "pixel_values"
        else:
            processed = self.processor.image_processor(list(frames), return_tensors="pt", **self.image_options)
            name = "pixel_values"
        pixel_values: Tensor = processed[name]
        if pixel_values.ndim == 2:  # a row a patch
            return pixel_values.unflatten(0, (len(frames) // self.frames_per_group, -1))
        return pixel_values[0] if self.media == "video" else pixel_values

    def pad(self, sequences: list[list[int]], fill: int | None = None) -> dict[str, Int[Tensor, "batch token"]]:
        """Pad sequences on the left to one length, and make their attention mask."""
        fill = self.processor.tokenizer.pad_token_id if fill is None else fill
        length = max(map(len, sequences))
        ids = torch.tensor([[fill] * (length - len(one)) + one for one in sequences])
        padded = torch.tensor([length - len(one) for one in sequences])
        return {"input_ids": ids, "attention_mask": (torch.arange(length) >= padded[:, None]).long()}
