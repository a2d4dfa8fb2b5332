"""Clips of egocentric video with gaze, as a Lightning datamodule over any prepared data set."""

from gaze_vlm.datamodules.clips import ClipDataModule, ClipDataset

__all__ = ["ClipDataModule", "ClipDataset"]
