"""Clips of egocentric video with gaze, as a Lightning datamodule over any prepared data set.

The datamodule loads on first use: a clip and a batch need no Lightning.
"""

from typing import TYPE_CHECKING, Any

from gaze_vlm.datamodules.dataset import ClipDataset

if TYPE_CHECKING:
    from gaze_vlm.datamodules.clips import ClipDataModule

__all__ = ["ClipDataModule", "ClipDataset"]


def __getattr__(name: str) -> Any:
    if name != "ClipDataModule":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gaze_vlm.datamodules.clips import ClipDataModule

    return ClipDataModule
