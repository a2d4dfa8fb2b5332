"""How good the prepared gaze is: shares that tell whether a data set can be trusted."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from gaze_vlm.gaze.occlusion import visible
from gaze_vlm.gaze.samples import GazeEvent
from gaze_vlm.preparation.clips import count_clips
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.video_gaze import VideoGaze


class QualityReport:
    """Adds up videos; `report` gives the shares over all of them."""

    def __init__(self) -> None:
        self.videos = self.frames = self.frames_without_gaze = 0
        self.carried = self.occluded_local = self.occluded_frame = 0
        self.events: Counter[str] = Counter()
        self.share_sum = 0.0

    def add(self, gaze: VideoGaze) -> None:
        """Counts one video, occlusion with the default ε and η over points that are in the frame.

        Points that were looked at in the sampled frame itself have error 0 and are never occluded.
        """
        tracked = gaze.event <= GazeEvent.UNKNOWN
        self.videos += 1
        self.frames += len(gaze.frame_t_s)
        self.frames_without_gaze += int(np.sum(~tracked.any(axis=1)))
        self.events.update(gaze.counts.events)
        self.carried += gaze.counts.carried
        self.occluded_local += int(np.sum(tracked & ~visible(gaze.error, gaze.occluded_share, "local")))
        self.occluded_frame += int(np.sum(tracked & ~visible(gaze.error, gaze.occluded_share, "frame")))
        self.share_sum += float(np.sum(gaze.occluded_share[tracked]))

    def report(self, clips: Sequence[ClipRecord], dropped: Mapping[str, int], quarantined: int) -> dict[str, object]:
        """The figures of `quality.json`; a share of nothing is None."""
        samples = sum(self.events.values())
        return {
            "videos": {"prepared": self.videos, "quarantined": quarantined},
            "frames": {
                "total": self.frames,
                "without_gaze_share": _share(self.frames_without_gaze, self.frames),
            },
            "samples": {
                "total": samples,
                "event_shares": {
                    event.name.lower(): _share(self.events[event.name.lower()], samples) for event in GazeEvent
                },
            },
            "carried": {
                "total": self.carried,
                "occluded_share_local_test": _share(self.occluded_local, self.carried),
                "occluded_share_frame_test": _share(self.occluded_frame, self.carried),
                "mean_occluded_pixel_share": _share(self.share_sum, self.carried),
            },
            "clips": count_clips(clips, dropped),
        }


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
