"""From the stored gaze points of a video to the mixture of a clip: everything that needs no second preparation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.occlusion import FRAME_ETA, LOCAL_EPSILON, OcclusionTest, visible
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.video_gaze import VideoGaze

TrainingGaze = Literal["own", "shuffled", "centre"]


@dataclass(frozen=True)
class GazeOptions:
    """How stored gaze points become a mixture.

    Args:
        sigma: standard deviation of each point's Gaussian, in frame widths; the paper has 20 px of 1088.
        window_s: age up to which points are aggregated, at most what was prepared; 0 takes the frame's own points.
        transport: carry points to the frame by optical flow; else each stays where it was looked at.
        occlusion: `local` (error at the point), `frame` (the paper: share of the frame's pixels), or `none`.
        epsilon: forward-backward error in frame widths above which a point is occluded, for `local`.
        eta: share of occluded pixels above which a frame's points are dropped, for `frame`.
        saccades: count saccade samples too.
    """

    sigma: float = 20 / 1088
    window_s: float = 0.2
    transport: bool = True
    occlusion: OcclusionTest = "local"
    epsilon: float = LOCAL_EPSILON
    eta: float = FRAME_ETA
    saccades: bool = True

    def mixture(self, video: VideoGaze, frames: slice, aspect: float) -> GazeMixture:
        """The mixture of some sampled frames of a video; a point that does not count has weight 0."""
        event = video.event[frames]
        counts = event <= GazeEvent.UNKNOWN
        if not self.saccades:
            counts &= event != GazeEvent.SACCADE
        counts &= video.age_s[frames] <= self.window_s + 1e-6
        counts &= visible(video.error[frames], video.occluded_share[frames], self.occlusion, self.epsilon, self.eta)
        xy = video.xy[frames] if self.transport else video.raw_xy[frames]
        return GazeMixture(
            torch.from_numpy(np.ascontiguousarray(xy)),
            torch.from_numpy(counts.astype(np.float32)),
            self.sigma,
            aspect,
        )


def centre_prior(frames: int, aspect: float, sigma: float = 0.2) -> GazeMixture:
    """One broad Gaussian at the centre of every frame: where egocentric gaze falls without looking at the scene."""
    return GazeMixture(torch.full((frames, 1, 2), 0.5), torch.ones(frames, 1), sigma, aspect)
