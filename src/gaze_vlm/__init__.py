"""Vision-language models for egocentric video that learn where to look from the wearer's gaze.

The public names load on first use, so that `import gaze_vlm` takes no time. Only `ClipDataModule` and `GazeVLM` need
Lightning.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gaze_vlm.attention import GazeBlock as GazeBlock
    from gaze_vlm.attention import GazeRegularizer as GazeRegularizer
    from gaze_vlm.attention import PatchAttention as PatchAttention
    from gaze_vlm.attention import gaze_divergence as gaze_divergence
    from gaze_vlm.backbones import Backbone as Backbone
    from gaze_vlm.backbones.capturing import capture_attention as capture_attention
    from gaze_vlm.backbones.patch_targets import PatchTargets as PatchTargets
    from gaze_vlm.comparison.statistics import paired_interval as paired_interval
    from gaze_vlm.comparison.statistics import seeds_interval as seeds_interval
    from gaze_vlm.comparison.statistics import session_interval as session_interval
    from gaze_vlm.datamodules import ClipDataModule as ClipDataModule
    from gaze_vlm.gaze.mixture import GazeMixture as GazeMixture
    from gaze_vlm.gaze.mixture import patch_distribution as patch_distribution
    from gaze_vlm.gaze.regions import Box as Box
    from gaze_vlm.gaze.regions import FrameRegions as FrameRegions
    from gaze_vlm.gaze.regions import Mask as Mask
    from gaze_vlm.gaze.regions import Spot as Spot
    from gaze_vlm.gaze.samples import GazeEvent as GazeEvent
    from gaze_vlm.gaze.samples import GazeSamples as GazeSamples
    from gaze_vlm.gaze.view import Grid as Grid
    from gaze_vlm.gaze.view import View as View
    from gaze_vlm.inference.models import load_backbone as load_backbone
    from gaze_vlm.training.module import GazeVLM as GazeVLM

_MODULES = {
    "Backbone": "backbones",
    "Box": "gaze.regions",
    "ClipDataModule": "datamodules",
    "FrameRegions": "gaze.regions",
    "GazeBlock": "attention",
    "GazeEvent": "gaze.samples",
    "GazeMixture": "gaze.mixture",
    "GazeRegularizer": "attention",
    "GazeSamples": "gaze.samples",
    "GazeVLM": "training.module",
    "Grid": "gaze.view",
    "Mask": "gaze.regions",
    "PatchAttention": "attention",
    "PatchTargets": "backbones.patch_targets",
    "Spot": "gaze.regions",
    "View": "gaze.view",
    "capture_attention": "backbones.capturing",
    "gaze_divergence": "attention",
    "load_backbone": "inference.models",
    "paired_interval": "comparison.statistics",
    "patch_distribution": "gaze.mixture",
    "seeds_interval": "comparison.statistics",
    "session_interval": "comparison.statistics",
}
__all__ = list(_MODULES)
__version__ = version("gaze-vlm-lightning")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
