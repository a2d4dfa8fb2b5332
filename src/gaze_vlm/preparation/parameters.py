"""What the preparation is asked to do."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from gaze_vlm.digests import file_digest
from gaze_vlm.errors import InputError
from gaze_vlm.gaze.events import SACCADE_VELOCITY, widths_per_second
from gaze_vlm.gaze.flow import DIS_PRESETS, FLOWS, DisPreset, FlowName, FlowOptions
from gaze_vlm.gaze.occlusion import FRAME_EPSILON
from gaze_vlm.gaze.samples import GazeSamples
from gaze_vlm.ranges import above_zero, at_least, in_unit_interval, is_seed, one_of

SLOWEST_DEG_S = 10.0  # a threshold below would take the tremor of a fixation for saccades
SplitBy = Literal["session", "participant", "official"]
VIDEO_FIELDS = (
    "frame_hz",
    "window_s",
    "flow",
    "flow_preset",
    "flow_refine",
    "flow_max_width_px",
    "frame_epsilon",
    "error_radius",
    "saccade_velocity",
    "field_of_view_deg",
    "video_short_side_px",
    "video_gop",
)


@dataclass(frozen=True)
class PreparationParameters:
    """Choices of a preparation.

    Those that change a video's file make it again; the others cost seconds.

    Args:
        frame_hz: rate of the sampled frames, in Hz.
        window_s: gaze up to this many seconds before a sampled frame is carried to it (δ in the paper).
        flow: estimator of the optical flow: `dis_points` (OpenCV's DIS about the points, no weights), `dis` (DIS on
            whole frames), or torchvision's `raft_small` or `raft_large`, which want `flow_weights`.
        flow_weights: file of RAFT's weights (.pth or .safetensors); nothing is downloaded.
        flow_device: what RAFT runs on, as torch names it; results agree up to rounding.
        flow_preset: preset of `dis`.
        flow_refine: smooth the flow of `dis`; twice as slow, and it hides occluders from the occlusion test.
        flow_max_width_px: wider frames are reduced to this width before the flow.
        frame_epsilon: forward-backward error above which a pixel counts as occluded in a frame's share, as a
            fraction of the frame's width. The paper: 20 px of 1088.
        error_radius: the error at a point is the median over a disc of this radius, a fraction of the width.
        saccade_velocity: where a gaze file has no events, a sample that moves faster is a saccade and any other a
            fixation (I-VT), in frame widths a second; None leaves them unknown.
        field_of_view_deg: the camera's horizontal field of view; if given, `saccade_velocity` is in degrees a second.
        video_short_side_px: write a copy of each video into the store with its shorter side reduced to this, for
            fast reading at random; None reads the raw files.
        video_gop: frames from one key frame of the copies to the next.
        observation_s: length of the clips, in seconds.
        anticipation_s: how many seconds after a clip's end the future action is looked up.
        stride_s: seconds between the ends of successive clips of a video.
        split_by: what stays together: all clips of a session, or all sessions of a participant; or `official`, the
            data set's own split, whose parts may share sessions.
        split_fractions: shares of sessions (or participants) in train, validation and test; they sum to 1. Of an
            official split only the second counts, as a share of its training sessions.
        split_seed: seed of the split.
        max_damaged: largest share of a video's frames that may be damaged; past it the video is unusable.
        max_quarantined: largest share of videos that may be unusable before the preparation fails.
    """

    frame_hz: float = 1.0
    window_s: float = 0.2
    flow: FlowName = "dis_points"
    flow_weights: Path | None = None
    flow_device: str = "cpu"
    flow_preset: DisPreset = "medium"
    flow_refine: bool = False
    flow_max_width_px: int = 256
    frame_epsilon: float = FRAME_EPSILON
    error_radius: float = 1 / 96
    saccade_velocity: float | None = SACCADE_VELOCITY
    field_of_view_deg: float | None = None
    video_short_side_px: int | None = None
    video_gop: int = 12
    observation_s: float = 5.0
    anticipation_s: float = 2.0
    stride_s: float = 1.0
    split_by: SplitBy = "session"
    split_fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 0
    max_damaged: float = 0.05
    max_quarantined: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type is float:  # 1 and 1.0 have one digest
                object.__setattr__(self, field.name, float(getattr(self, field.name)))
        # From a command line or JSON the fractions come as a list, which would not hash or compare.
        object.__setattr__(self, "split_fractions", tuple(self.split_fractions))
        if self.flow_weights is not None:
            object.__setattr__(self, "flow_weights", Path(self.flow_weights))
        above_zero(**self._of("frame_hz", "window_s", "frame_epsilon", "observation_s", "stride_s"))
        at_least(0, **self._of("error_radius", "anticipation_s"))
        at_least(1, video_gop=self.video_gop)
        at_least(16, **self._of("flow_max_width_px", "video_short_side_px"))
        in_unit_interval(**self._of("max_damaged", "max_quarantined"))
        is_seed(self.split_seed, "split_seed")
        one_of(FLOWS, flow=self.flow)
        one_of(DIS_PRESETS, flow_preset=self.flow_preset)
        one_of(get_args(SplitBy), split_by=self.split_by)
        self._check_velocity()
        self._check_flow()
        self._check_clips()

    def _of(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}

    def _check_velocity(self) -> None:
        if self.saccade_velocity is not None:
            least, unit = (0.0, "frame widths") if self.field_of_view_deg is None else (SLOWEST_DEG_S, "degrees")
            expected = f"more than {least:g} {unit} a second, or null"
            _require(self.saccade_velocity > least, "saccade_velocity", self.saccade_velocity, expected)
            if self.field_of_view_deg is not None:
                _require(0 < self.field_of_view_deg <= 360, "field_of_view_deg", self.field_of_view_deg, "in (0, 360]")

    def _check_flow(self) -> None:
        if self.flow == "dis_points":
            for name, default in (("flow_preset", "medium"), ("flow_refine", False)):
                _require(getattr(self, name) == default, name, getattr(self, name), f"{default!r}, unless flow is dis")
        elif self.flow != "dis":
            weights = self.flow_weights
            _require(weights is not None and weights.is_file(), "flow_weights", weights, f"a file of {self.flow}'s")

    def _check_clips(self) -> None:
        _require(
            len(self.split_fractions) == 3
            and min(self.split_fractions) >= 0
            and math.isclose(sum(self.split_fractions), 1, abs_tol=1e-6),
            "split_fractions",
            self.split_fractions,
            "three shares (train, validation, test) that sum to 1",
        )
        for name, seconds in self._of("observation_s", "stride_s").items():
            frames = seconds * self.frame_hz
            is_whole = frames >= 1 - 1e-6 and math.isclose(frames, round(frames), abs_tol=1e-6)
            _require(is_whole, name, seconds, f"a multiple of the time between frames, {1 / self.frame_hz:g} s")

    @property
    def clip_frames(self) -> int:
        """Sampled frames in a clip."""
        return round(self.observation_s * self.frame_hz)

    @property
    def stride_frames(self) -> int:
        """Sampled frames between the ends of successive clips."""
        return round(self.stride_s * self.frame_hz)

    @property
    def saccade_widths_s(self) -> float | None:
        """`saccade_velocity` in frame widths a second."""
        if self.saccade_velocity is None or self.field_of_view_deg is None:
            return self.saccade_velocity
        return widths_per_second(self.saccade_velocity, self.field_of_view_deg)

    @property
    def flow_options(self) -> FlowOptions:
        """What the flow estimator is made from."""
        return FlowOptions(self.flow, self.flow_weights, self.flow_device, self.flow_preset, self.flow_refine)

    def video_digest(self, schema_version: int, mark: tuple[int, str], gaze: GazeSamples) -> str:
        """Return the digest of what a video's file in the store depends on.

        A file with the same digest is not made again.

        Args:
            schema_version: of the file.
            mark: the raw video's size and the digest of its ends; see `fingerprint`.
            gaze: the video's.
        """
        values = {name: getattr(self, name) for name in VIDEO_FIELDS}
        if self.flow_weights is not None:
            values["flow_weights"] = digest_of_weights(self.flow_weights)
        samples = hashlib.sha256()
        for column in (gaze.t_s, gaze.xy, gaze.event):
            samples.update(column.tobytes())
        values.update(schema_version=schema_version, video=mark, gaze=samples.hexdigest())
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

    def plain(self) -> dict[str, Any]:
        """Return the parameters as JSON can hold them."""
        weights = self.flow_weights
        return asdict(self) | {"flow_weights": None if weights is None else weights.as_posix()}


digest_of_weights = lru_cache(maxsize=1)(file_digest)  # which do not change meanwhile


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise InputError(f"{name} is {value!r}; expected {expected}")
