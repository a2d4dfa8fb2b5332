"""From clips to one batch of model inputs; runs in the loader's workers, so it holds processors and no model."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gaze_vlm.attention.sources import IGNORED
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.gaze.view import Grid, View

Media = Literal["image", "video"]


@dataclass
class Collator:
    """Collates clips for a backbone whose processor is a tokenizer with a chat template and an image processor.

    Args:
        processor: the checkpoint's own processor.
        media: whether a clip is an image a frame, or one video.
        visual_token: id of the placeholder that stands for one visual token.
        tokens_per_frame: placeholders a frame takes in the language model's input.
        tokens_after_clip: placeholders behind those of a clip's frames.
        grid: patches of the attention that gaze is compared with.
        height_px, width_px: the frame size that the vision tower takes.
        view: how a frame goes into the model.
        seen: the part of the view that the grid covers.
        least_in_view: share of a frame's gaze mass that must be in view for it to count.
        image_options: options of the image processor that leave a frame's size as the view made it.
        before_frame, after_frame: token ids that the processor, not the template, writes around those of a frame.
    """

    processor: Any
    media: Media
    visual_token: int
    tokens_per_frame: int
    tokens_after_clip: int
    grid: Grid
    height_px: int
    width_px: int
    view: View
    seen: View
    least_in_view: float
    image_options: dict[str, bool]
    before_frame: tuple[int, ...] = ()
    after_frame: tuple[int, ...] = ()

    def __call__(self, clips: list[Clip]) -> Batch:
        tokens = [self.tokenize(clip.prompt, clip.target, len(clip.frames)) for clip in clips]
        pixel_values = self.pixel_values([clip.frames for clip in clips])
        gaze, valid = zip(*(clip.gaze.on(self.grid, self.seen, self.least_in_view) for clip in clips), strict=True)
        return Batch(
            inputs={**self.with_labels(tokens), "pixel_values": pixel_values},
            prompts={**self.pad([question for question, _ in tokens]), "pixel_values": pixel_values},
            gaze=torch.stack(gaze),
            valid=torch.stack(valid),
            clips=clips,
        )

    def with_labels(self, tokens: list[tuple[list[int], list[int]]]) -> dict[str, Int[Tensor, "batch token"]]:
        """Tokenized questions and answers as model inputs, `labels` on the answers alone."""
        inputs = self.pad([question + answer for question, answer in tokens])
        labels = self.pad([[IGNORED] * len(question) + answer for question, answer in tokens], IGNORED)
        return {**inputs, "labels": labels["input_ids"]}

    def tokenize(self, prompt: str, target: str, frames: int) -> tuple[list[int], list[int]]:
        """Token ids of the prompt, with its visual placeholders, and of the answer, with its end of text."""
        tokenizer = self.processor.tokenizer
        question, answer = self.render(prompt, target, frames)
        ids: list[int] = tokenizer(question)["input_ids"]
        found, media = ids.count(self.visual_token), self.media_of(frames)
        if found != len(media):
            raise ValueError(
                f"the chat template of {tokenizer.name_or_path or 'this checkpoint'} left {found} {self.media} "
                f"placeholders for {len(media)}: its template must write one for each {self.media} of a message"
            )
        frame = [*self.before_frame, *[self.visual_token] * self.tokens_per_frame, *self.after_frame]
        visual = frame * (frames // len(media)) + [self.visual_token] * self.tokens_after_clip
        expanded = [token for id_ in ids for token in (visual if id_ == self.visual_token else [id_])]
        answer_ids: list[int] = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        end = answer_ids.index(tokenizer.eos_token_id)  # templates that close a message write more behind it
        return expanded, answer_ids[: end + 1]

    def render(self, prompt: str, target: str, frames: int) -> tuple[str, str]:
        """Prompt and answer as the checkpoint's chat template writes them."""
        content = [*self.media_of(frames), {"type": "text", "text": prompt}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        question: str = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        messages.append({"role": "assistant", "content": [{"type": "text", "text": target}]})
        whole: str = self.processor.apply_chat_template(messages, tokenize=False)
        if not whole.startswith(question):
            raise ValueError(
                "the chat template does not begin an answered chat with the prompt itself: mend the template"
            )
        return question, whole.removeprefix(question)

    def media_of(self, frames: int) -> list[dict[str, str]]:
        """What a message holds of a clip."""
        return [{"type": self.media}] * (1 if self.media == "video" else frames)

    def pixel_values(
        self, clips: list[UInt8[Tensor, "frame 3 any_height any_width"]]
    ) -> Float[Tensor, "clip frame ..."]:
        """Normalised pixels, as images or as rows of patches; the view resizes, so that the processor must not."""
        frames = torch.cat([self.view.pixels(clip, self.height_px, self.width_px) for clip in clips])
        pixel_values: Tensor
        if self.media == "video":
            videos = list(frames.unflatten(0, (len(clips), -1)))
            processed = self.processor.video_processor(videos, return_tensors="pt", **self.image_options)
            pixel_values = processed["pixel_values_videos"]
            return pixel_values
        processed = self.processor.image_processor(list(frames), return_tensors="pt", **self.image_options)
        pixel_values = processed["pixel_values"]
        if len(pixel_values) > len(frames):  # a row a patch
            pixel_values = pixel_values.unflatten(0, (len(frames), -1))
        return pixel_values.unflatten(0, (len(clips), -1))

    def pad(self, sequences: list[list[int]], fill: int | None = None) -> dict[str, Int[Tensor, "batch token"]]:
        """Sequences padded on the left to one length, with their attention mask."""
        fill = self.processor.tokenizer.pad_token_id if fill is None else fill
        length = max(map(len, sequences))
        ids = torch.tensor([[fill] * (length - len(one)) + one for one in sequences])
        mask = torch.tensor([[0] * (length - len(one)) + [1] * len(one) for one in sequences])
        return {"input_ids": ids, "attention_mask": mask}
