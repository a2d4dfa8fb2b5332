"""Features of a frozen vision tower, made before the first step for every clip that has none on disk yet."""

import os
import random
import shutil
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gaze_vlm.backbones.kept_features import features_identity, why_none_is_kept
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.datamodules.dataset import ClipDataset
from gaze_vlm.datamodules.feature_files import FeatureFiles, folder_bytes
from gaze_vlm.datamodules.loader_deaths import loader_processes
from gaze_vlm.errors import UserError
from gaze_vlm.progress import say, track
from gaze_vlm.training.module import GazeVLM

GB = 1e9
LOOK_AGAIN_AFTER = 64  # clips, how much room there is: another run may fill the folder too


class FrozenFeatures:
    """Keeps the features of a run's clips on disk, where its tower is frozen.

    Processes share the work: those of a run by rank; runs beside each other begin at different clips, and each leaves
    out what is there by then.

    Args:
        module: the model, loaded and on its device when this is called.
        data: the datamodule, which has the folder and its limit.
    """

    def __init__(self, module: GazeVLM, data: ClipDataModule) -> None:
        self.module = module
        self.data = data
        self.too_large = False

    def __call__(self, datasets: Sequence[ClipDataset]) -> FeatureFiles | None:
        """Make what is missing for some data sets; None where none is kept, with the reason on stderr."""
        data = self.data
        if data.features is None or why_none_is_kept(self.module.backbone) is not None or self.too_large:
            return None
        missing = MissingClips(self.files, datasets, data.make_collator().pixel_values)
        trainer = self.module.trainer
        readable = (
            (clip, pixels) for clip, pixels in map(missing.__getitem__, range(len(missing))) if pixels is not None
        )
        first = next(((clip, self.encode(pixels)) for clip, pixels in readable), None)
        # The first process decides for all of them.
        self.too_large = trainer.strategy.broadcast(first is not None and not self.fits(missing, first[1].nbytes))
        if first is not None and not self.too_large:
            self.files.write(*first)
            missing.take(trainer.global_rank, trainer.world_size)
            # A generator of its own: a training draws the same, whether features were missing or not.
            apart: dict[str, Any] = {"generator": torch.Generator(), **loader_processes(data.workers)}
            loader = DataLoader(missing, batch_size=None, **apart)
            for position, (clip, pixel_values) in enumerate(track(loader, "features", len(missing))):
                if position % LOOK_AGAIN_AFTER == 0 and not self.still_fits(missing, first[1].nbytes):
                    break
                if pixel_values is not None:
                    self.files.write(clip, self.encode(pixel_values))
        self.too_large = trainer.strategy.reduce_boolean_decision(self.too_large, all=False)  # waits for all
        return None if self.too_large else self.files

    @cached_property
    def files(self) -> FeatureFiles:
        """Those of the model as it is trained."""
        assert self.data.features is not None
        precision = self.module.trainer.precision
        return FeatureFiles(self.data.features, {**features_identity(self.module.backbone), "precision": precision})

    def encode(self, pixel_values: Tensor) -> Tensor:
        """Make the features of a clip as a step would."""
        backbone = self.module.backbone
        with self.module.trainer.precision_plugin.forward_context():
            return backbone.encode_clips(pixel_values[None].to(backbone.hf.device))[0]

    def fits(self, missing: "MissingClips", clip_bytes: int) -> bool:
        """Say what the missing features will take, and whether that is allowed."""
        needed = len(missing) * clip_bytes
        reason = self.no_room(needed)
        kept = "" if reason is None else f", {reason}: none is kept, and the frozen tower runs for every batch"
        rank_zero_only(say)(f"features of {len(missing):,} clips, {needed / GB:.2f} GB in {missing.files.folder}{kept}")
        return reason is None

    def still_fits(self, missing: "MissingClips", clip_bytes: int) -> bool:
        """Look again at what is missing by now, and whether there is room for it; say if there is none."""
        reason = self.no_room(missing.count() * clip_bytes)
        self.too_large = reason is not None
        if reason is not None:
            say(f"features: another run wrote some too, {reason}: the frozen tower runs for every batch")
        return reason is None

    def no_room(self, needed: float) -> str | None:
        """Return why so many bytes more cannot be kept."""
        folder, limit = self.data.features, self.data.features_gb * GB
        assert folder is not None
        held = folder_bytes(folder)
        if held + needed > limit:
            return f"with {held / GB:.2f} GB that are there more than features_gb {self.data.features_gb:g}"
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free
        return f"and {free / GB:.2f} GB are free" if needed > free else None


class MissingClips(Dataset[tuple[str, Tensor | None]]):
    """Clips without features: the digest of each, and the pixels of those that are still missing.

    Args:
        files: where the features go.
        datasets: whose clips.
        pixel_values: makes the model's pixels of frames.
    """

    def __init__(self, files: FeatureFiles, datasets: Sequence[ClipDataset], pixel_values: Any) -> None:
        self.files = files
        self.datasets = datasets
        self.pixel_values = pixel_values
        clips = {
            dataset.described(position).content: (dataset, position)
            for dataset in datasets
            for position in range(len(dataset.records))
        }
        self.clips = [(clip, *where) for clip, where in clips.items() if not files.path(clip).is_file()]

    def take(self, rank: int, processes: int) -> None:
        """Take a rank's share, from a place of this process's own on."""
        own = self.clips[rank::processes]
        start = random.Random(os.getpid()).randrange(len(own)) if own else 0  # the run's own draws stay as they are
        self.clips = own[start:] + own[:start]

    def count(self) -> int:
        """Count those of this process that are missing by now."""
        return sum(not self.files.path(clip).is_file() for clip, *_ in self.clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[str, Tensor | None]:
        clip, dataset, position = self.clips[index]
        if self.files.path(clip).is_file():
            return clip, None
        try:
            return clip, self.pixel_values(dataset.decode(position))
        except (UserError, OSError) as error:
            if not dataset.replaces:
                raise
            say(f"no features of {dataset.records[position].clip_id}: {error}")
            return clip, None
