"""From the stored gaze points of a video to the mixture of a clip: everything that needs no second preparation."""

import math
import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from gaze_vlm.errors import InputError
from gaze_vlm.gaze.mixture import GazeMixture
from gaze_vlm.gaze.occlusion import FRAME_ETA, LOCAL_EPSILON, OcclusionTest
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.video_gaze import WINDOW_S, VideoGaze
from gaze_vlm.ranges import above_zero, at_least, in_unit_interval, is_seed


@dataclass(frozen=True)
class EventWeights:
    """Weights of gaze points within a frame, by what the eye did; 0 leaves an event out.

    A frame's weights are normalised: a frame with points of one event alone is the same whatever its weight above 0.

    Args:
        fixation: weight of a point of a fixation.
        saccade: weight of a point of a saccade.
        unknown: weight of a point of which that is not known.
    """

    fixation: float = 1.0
    saccade: float = 1.0
    unknown: float = 1.0

    def __post_init__(self) -> None:
        weights = {f"event_weights.{event}": weight for event, weight in vars(self).items()}
        at_least(0, **weights)
        if not any(weights.values()):
            raise InputError("event_weights are all 0: no point would count, give one event a weight")

    def of(self, event: UInt8[np.ndarray, "frame point"]) -> Float32[np.ndarray, "frame point"]:
        """Return the weight of points by their `GazeEvent`; 0 for those without a place in the frame."""
        weights = np.zeros(len(GazeEvent), dtype=np.float32)
        weights[[GazeEvent.FIXATION, GazeEvent.SACCADE, GazeEvent.UNKNOWN]] = self.fixation, self.saccade, self.unknown
        return weights[event]


@dataclass(frozen=True)
class GazeOptions:
    """How stored gaze points become a mixture.

    Args:
        sigma: standard deviation of each point's Gaussian, in frame widths; the paper has 20 px of 1088.
        sigma_scale: multiplies `sigma`, for arms that are wider or narrower on any data.
        window_s: points of the window (t − window_s, t] of a frame's time t count, at most what was prepared; 0 is the
            frame's own interval, one mean frame period of the video.
        transport: carry points to the frame by optical flow; else each stays where it was looked at.
        occlusion: `local` (error at the point), `frame` (the paper: share of the frame's pixels), or `none`.
        epsilon: forward-backward error in frame widths above which a point is occluded, for `local`.
        eta: share of occluded pixels above which a frame's points are dropped, for `frame`.
        event_weights: weights of the points of fixations, saccades and others.
        saccades: false sets the weight of saccades to 0, as configurations of older versions do.
    """

    sigma: float = 20 / 1088
    sigma_scale: float = 1.0
    window_s: float = WINDOW_S
    transport: bool = True
    occlusion: OcclusionTest = "local"
    epsilon: float = LOCAL_EPSILON
    eta: float = FRAME_ETA
    event_weights: EventWeights = EventWeights()
    saccades: bool = True

    def __post_init__(self) -> None:
        above_zero(**{"gaze sigma": self.sigma, "gaze sigma_scale": self.sigma_scale})
        at_least(0, **{"gaze window_s": self.window_s, "gaze epsilon": self.epsilon})
        in_unit_interval(**{"gaze eta": self.eta})

    def weights(self, video: VideoGaze, frames: slice = slice(None)) -> Float32[np.ndarray, "frame point"]:
        """Return the weight of each point of some frames.

        It is 0 where `VideoGaze.valid_points` has none.
        """
        weights = self.event_weights if self.saccades else replace(self.event_weights, saccade=0.0)
        valid = video.valid_points(frames, self.window_s, self.occlusion, self.epsilon, self.eta)
        return np.where(valid, weights.of(video.event[frames]), np.float32(0))

    def mixture(self, video: VideoGaze, frames: slice, aspect: float) -> GazeMixture:
        """Return the mixture of some frames; a point that does not count weighs 0."""
        xy = video.xy[frames] if self.transport else video.raw_xy[frames]
        return GazeMixture(
            torch.from_numpy(np.ascontiguousarray(xy)),
            torch.from_numpy(self.weights(video, frames)),
            self.sigma * self.sigma_scale,
            aspect,
        )


@dataclass(frozen=True)
class GazeNoise:
    """Errors of a worse eye tracker, put on the gaze of training clips.

    They show how much of its quality is needed. A clip's errors depend on the seed, its name and its video's alone:
    they are the same in every epoch.

    Args:
        noise: standard deviation of an error of each point's own along both axes, in frame widths, or in degrees where
            `field_of_view_deg` is given.
        offset: length, in the same unit, of an error that all points of a video share, like that of a tracker that
            slipped; its direction is drawn for each video.
        dropped: share of the points that are lost.
        field_of_view_deg: the camera's horizontal field of view. Degrees are spread evenly over it.
        seed: draws all three.
    """

    noise: float = 0.0
    offset: float = 0.0
    dropped: float = 0.0
    field_of_view_deg: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        above_zero(**{"train_noise field_of_view_deg": self.field_of_view_deg})
        if (self.field_of_view_deg or 0) > 360:
            raise InputError(f"train_noise field_of_view_deg is {self.field_of_view_deg}; expected at most 360")
        at_least(0, noise=self.noise, offset=self.offset)
        in_unit_interval(dropped=self.dropped)
        is_seed(self.seed)

    def __call__(self, mixture: GazeMixture, clip_id: str, video_id: str) -> GazeMixture:
        """The mixture with these errors; a point that they move out of the frame keeps its weight there."""
        if not (self.noise or self.offset or self.dropped):
            return mixture
        widths = 1 / (self.field_of_view_deg or 1)
        angle = self._draw(video_id).uniform(0, 2 * math.pi)
        draw = self._draw(clip_id)
        error = draw.normal(0, self.noise, mixture.xy.shape) + self.offset * np.array(
            [math.cos(angle), math.sin(angle)]
        )
        kept = draw.uniform(size=mixture.weight.shape) >= self.dropped
        shift = mixture.xy.new_tensor(widths * error) * mixture.xy.new_tensor([1.0, mixture.aspect])
        return replace(mixture, xy=mixture.xy + shift, weight=mixture.weight * torch.from_numpy(kept))

    def _draw(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])
