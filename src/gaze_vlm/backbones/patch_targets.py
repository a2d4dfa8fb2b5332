"""Gaze, points, boxes and masks as patch distributions on the grids of what a model's own processor made."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from gaze_vlm.attention.sources import Tower
from gaze_vlm.backbones.layout import covered_part
from gaze_vlm.backbones.placement import Place, place_frames
from gaze_vlm.backbones.plain import family_of_model
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture, average_groups, check_min_mass_in_view
from gaze_vlm.gaze.regions import FrameRegions
from gaze_vlm.gaze.view import Grid, View

Target = GazeMixture | FrameRegions


class PatchTargets:
    """Makes the targets of a batch on the grids that this model and processor use for each of its images.

    The processor's own resizing, cropping and padding are taken into account, and grids that vary by image, as Qwen's
    do. It holds the model's config and no weights, so that it may run in a loader's workers.

    Args:
        model: a `transformers` model that `capture_attention` takes.
        processor: the model's own. Options that crop are read from it, not from a call of it.
        tower: whose grid: that of `capture_attention`.
        min_mass_in_view: share of a frame's mass, in (0, 1], that the processor must leave for the frame to count.

    Raises:
        InputError: a model of another family, or a share out of its range.

    Example:
        A wide picture, of which CLIP's processor keeps the middle:

        >>> import torch
        >>> from gaze_vlm import GazeMixture
        >>> from gaze_vlm.backbones.tiny.llava import build_tiny_llava
        >>> model, processor = build_tiny_llava(["look"])
        >>> processor.image_processor.size = {"shortest_edge": 96}
        >>> processor.image_processor.do_center_crop = True
        >>> picture = torch.randint(256, (3, 96, 192), dtype=torch.uint8)
        >>> inputs = processor(images=picture, text="<image> look", return_tensors="pt")
        >>> gaze = GazeMixture(torch.tensor([[[0.26, 0.01]]]), torch.ones(1, 1), sigma=0.002, aspect=2.0)
        >>> targets = PatchTargets(model, processor)(inputs, [gaze])
        >>> targets["gaze"].argmax(-1), targets["gaze_valid"]
        (tensor([0]), tensor([True]))
    """

    def __init__(
        self, model: nn.Module, processor: Any, tower: Tower = "language", min_mass_in_view: float = 0.5
    ) -> None:
        check_min_mass_in_view(min_mass_in_view)
        self.family = family_of_model(model, config_alone=True)
        self.processor = processor
        self.tower: Tower = tower
        self.min_mass_in_view = min_mass_in_view

    def __call__(self, inputs: Mapping[str, Any], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the targets of a batch, to stand beside the model's inputs.

        Args:
            inputs: what the processor made of texts, images and videos: `input_ids` and the rest.
            targets: in the order of the batch. A target's frames are images or frames of videos of one sample; those of
                a sample's targets, one behind another, are all its frames. Of a video, those that the processor leaves:
                give it the frames themselves (`do_sample_frames=False`), an even number for Qwen.

        Returns:
            `gaze`, the patch distribution of each frame [frame, patch] in the order of `CapturedAttention.attention`,
            filled up with zeros to the largest grid, and `gaze_valid` [frame], whether it has a target in view.

        Raises:
            InputError: the targets' frames are not those of the samples.
        """
        places = place_frames(self.family, inputs)
        if not places:
            raise InputError("there is no image in the batch: its text has no visual token")
        made: dict[tuple[int, Grid, View], tuple[Tensor, Tensor]] = {}  # of all frames of a target at once
        gaze, valid = [], []
        for place, frames in zip(places, _groups(places, targets), strict=True):
            of_frames = []
            for target, frame in frames:
                grid, view = place.grid(self.tower), self._view(place, float(target.aspect))
                key = (id(target), grid, view)
                if key not in made:
                    made[key] = target.on(grid, view, self.min_mass_in_view)
                of_frames.append([part[frame] for part in made[key]])
            distribution, counts = (torch.stack(part) for part in zip(*of_frames, strict=True))
            distribution, counts = average_groups(distribution, counts, len(frames))
            gaze.append(distribution[0])
            valid.append(counts[0])
        return {"gaze": pad_sequence(gaze, batch_first=True), "gaze_valid": torch.stack(valid)}

    def _view(self, place: Place, aspect: float) -> View:
        """The part of a frame that its patches cover."""
        view = self.family.processed_view(self.processor, place.media, place.medium, aspect)
        return covered_part(view, place.medium.layout.covered)


def _frames(target: Target) -> int:
    return len(target.frames) if isinstance(target, FrameRegions) else target.weight.shape[-2]


def _groups(places: Sequence[Place], targets: Sequence[Target]) -> Iterator[list[tuple[Target, int]]]:
    """The frames of each frame group: a target, and which of its frames."""
    rest = iter(targets)
    for sample, in_sample in groupby(places, lambda place: place.sample):
        groups = [place.medium.layout.frames_per_group for place in in_sample]
        frames: list[tuple[Target, int]] = []
        while len(frames) < sum(groups):
            if (target := next(rest, None)) is None:
                break
            frames += [(target, frame) for frame in range(_frames(target))]
        if len(frames) != sum(groups):
            raise InputError(
                f"sample {sample} has {sum(groups)} frames, its targets have {len(frames)}: give a target a frame, in "
                "the order of the batch; one without a point or region where there is none"
            )
        for count in groups:
            yield frames[:count]
            frames = frames[count:]
    if next(rest, None) is not None:
        raise InputError(f"there are {len(targets)} targets, more than the batch has frames: give a target a frame")
