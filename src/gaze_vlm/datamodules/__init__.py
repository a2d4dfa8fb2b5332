"""Clips of egocentric video with gaze, as a Lightning datamodule over any prepared data set."""

from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.datamodules.dataset import ClipDataset

__all__ = ["ClipDataModule", "ClipDataset"]
