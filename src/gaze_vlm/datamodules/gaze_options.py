"""From the stored gaze points of a video to the mixture of a clip: everything that needs no second preparation."""

import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool

from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.occlusion import FRAME_ETA, LOCAL_EPSILON, OcclusionTest
from gaze_vlm.preparation.video_gaze import WINDOW_S, VideoGaze
from gaze_vlm.ranges import above_zero, at_least, in_unit_interval, is_seed


@dataclass(frozen=True)
class GazeOptions:
    """How stored gaze points become a mixture.

    Args:
        sigma: standard deviation of each point's Gaussian, in frame widths; the paper has 20 px of 1088.
        window_s: points of the window (t − window_s, t] of a frame's time t count, at most what was prepared; 0 is the
            frame's own interval, one mean frame period of the video.
        transport: carry points to the frame by optical flow; else each stays where it was looked at.
        occlusion: `local` (error at the point), `frame` (the paper: share of the frame's pixels), or `none`.
        epsilon: forward-backward error in frame widths above which a point is occluded, for `local`.
        eta: share of occluded pixels above which a frame's points are dropped, for `frame`.
        saccades: count saccade samples too.
    """

    sigma: float = 20 / 1088
    window_s: float = WINDOW_S
    transport: bool = True
    occlusion: OcclusionTest = "local"
    epsilon: float = LOCAL_EPSILON
    eta: float = FRAME_ETA
    saccades: bool = True

    def __post_init__(self) -> None:
        above_zero(**{"gaze sigma": self.sigma})
        at_least(0, **{"gaze window_s": self.window_s, "gaze epsilon": self.epsilon})
        in_unit_interval(**{"gaze eta": self.eta})

    def valid_points(self, video: VideoGaze, frames: slice = slice(None)) -> Bool[np.ndarray, "frame point"]:
        """Return which points of some frames count; see `VideoGaze.valid_points`."""
        return video.valid_points(frames, self.window_s, self.saccades, self.occlusion, self.epsilon, self.eta)

    def mixture(self, video: VideoGaze, frames: slice, aspect: float) -> GazeMixture:
        """Return the mixture of some frames; a point that does not count weighs 0."""
        xy = video.xy[frames] if self.transport else video.raw_xy[frames]
        return GazeMixture(
            torch.from_numpy(np.ascontiguousarray(xy)),
            torch.from_numpy(self.valid_points(video, frames).astype(np.float32)),
            self.sigma,
            aspect,
        )


@dataclass(frozen=True)
class GazeNoise:
    """Errors of a worse eye tracker, put on the gaze of training clips.

    They show how much of its quality is needed. A clip's errors depend on the seed, its name and its video's alone:
    they are the same in every epoch.

    Args:
        noise: standard deviation of an error of each point's own, in frame widths along both axes.
        offset: length in frame widths of an error that all points of a video share, like that of a tracker that
            slipped; its direction is drawn for each video.
        dropped: share of the points that are lost.
        seed: draws all three.
    """

    noise: float = 0.0
    offset: float = 0.0
    dropped: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(0, noise=self.noise, offset=self.offset)
        in_unit_interval(dropped=self.dropped)
        is_seed(self.seed)

    def __call__(self, mixture: GazeMixture, clip_id: str, video_id: str) -> GazeMixture:
        """The mixture with these errors; a point that they move out of the frame keeps its weight there."""
        if not (self.noise or self.offset or self.dropped):
            return mixture
        angle = self._draw(video_id).uniform(0, 2 * math.pi)
        draw = self._draw(clip_id)
        error = draw.normal(0, self.noise, mixture.xy.shape) + self.offset * np.array(
            [math.cos(angle), math.sin(angle)]
        )
        kept = draw.uniform(size=mixture.weight.shape) >= self.dropped
        shift = mixture.xy.new_tensor(error) * mixture.xy.new_tensor([1.0, mixture.aspect])
        return replace(mixture, xy=mixture.xy + shift, weight=mixture.weight * torch.from_numpy(kept))

    def _draw(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])
