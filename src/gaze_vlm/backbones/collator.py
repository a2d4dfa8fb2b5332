"""From clips to one batch of model inputs; runs in the loader's workers, so it holds processors and no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gaze_vlm.backbones.chat_texts import ChatTexts
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture, average_groups
from gaze_vlm.gaze.view import Grid, View


def one_per_group(token: str, times_s: Sequence[float]) -> str:
    """Write an image or a video as one placeholder a frame group, without times."""
    return token * len(times_s)


@dataclass
class Collator(ChatTexts):
    """Collates clips for a backbone; its processor has an image or a video processor, too.

    Args:
        grid: patches of the attention that gaze is compared with.
        height_px, width_px: the frame size that the vision tower takes.
        view: how a frame goes into the model.
        covered_view: the part of the view that the grid covers.
        min_mass_in_view: share of a frame's gaze mass that must be in view for it to count.
        image_options: options of the image or video processor that leave a frame's size as the view made it.
        texts: the other options, of `ChatTexts`.
    """

    grid: Grid
    height_px: int
    width_px: int
    view: View
    covered_view: View
    min_mass_in_view: float
    image_options: Mapping[str, bool]

    def __call__(self, clips: list[Clip]) -> Batch:
        for clip in clips:
            self.check_frames(clip.clip_id, len(clip.frame_times_s))
            self.check_text(
                clip.target, f"clip {clip.clip_id}: its text", "change it in the data set, and prepare it again"
            )
        tokens = [self.tokenize(clip.prompt, clip.target, clip.frame_times_s) for clip in clips]
        for clip, (question, answer) in zip(clips, tokens, strict=True):
            self.check_length(len(question) + len(answer), f"clip {clip.clip_id}")
        gaze, valid = self.gaze(clips)
        shown = {clip.clip_id: clip for clip in clips}  # by several samples, where a clip has several tasks
        row = {clip_id: number for number, clip_id in enumerate(shown)}
        return Batch(
            inputs=self.with_labels(tokens),
            padding=self.padding,
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
