"""One video's share of a preparation, done in any process of any engine."""

import time
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from gaze_vlm.errors import InputError, OutputError
from gaze_vlm.formats.recording import Reader, Recording
from gaze_vlm.formats.reencode import reencoded_pts, reencoder
from gaze_vlm.formats.video import TimedFrame
from gaze_vlm.formats.video_header import VideoInfo, video_info, warn_of_header
from gaze_vlm.gaze.events import with_events
from gaze_vlm.gaze.samples import GazeSamples
from gaze_vlm.output import draft_of, writing
from gaze_vlm.preparation.files import fingerprint
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.gaze_time import check_actions, check_start, check_times
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.store import VIDEO_VERSION, read_video_gaze, reencoded_file, video_file, write_video_gaze
from gaze_vlm.preparation.video_gaze import NO_PTS, VideoCounts
from gaze_vlm.workers import Report

REPORT_EVERY_S = 0.5
Outcomes = Generator["Outcome", None, None]
"""What an engine gives; closing it stops the work."""


@dataclass(frozen=True)
class Outcome:
    """What became of one video; `stop` if no other will do better, `warnings` for the user."""

    video_id: str
    reason: str | None = None
    stop: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrepareRecording:
    """Writer of one video's files, unless they are there.

    What is wrong with the raw files becomes the reason. So does a decoder that gives no frame for `decode_timeout_s`.
    """

    reader: Reader
    store: Path
    parameters: PreparationParameters
    decode_timeout_s: float | None = None

    def __call__(self, recording: Recording, report: Report) -> Outcome:
        """Prepare one video; `report` is called with the share that is done."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            outcome = self._prepare(recording, report)
        return replace(outcome, warnings=tuple(dict.fromkeys(str(one.message) for one in caught)))

    def _prepare(self, recording: Recording, report: Report) -> Outcome:
        cv2.setNumThreads(1)  # the workers fill the processors
        try:
            gaze = self.gaze_of(recording)
            digest = self.digest(recording, gaze)
            if not self.is_done(recording.video_id, digest):
                self.write(recording, gaze, digest, report)
        except OutputError as error:
            return Outcome(recording.video_id, str(error), stop=True)
        except (ValueError, OSError) as error:
            return Outcome(recording.video_id, str(error))
        except Exception as error:  # one bad video must not cost the hours of the others
            return Outcome(recording.video_id, f"{recording.video}: {type(error).__name__}: {error}")
        return Outcome(recording.video_id)

    def gaze_of(self, recording: Recording) -> GazeSamples:
        """Read the video's gaze, and identify events where its file has none.

        Raises:
            InputError: gaze or video cannot be read, or the times of one are not the other's.
        """
        gaze = self.reader.read_gaze(recording)
        info = video_info(recording.video, self.decode_timeout_s)
        check_start(recording.video, info)
        warn_of_header(recording.video, info)
        check_times(recording.gaze or recording.video, gaze, info)
        check_actions(recording.actions, recording.video, info)
        aspect = recording.gaze_width_px / recording.gaze_height_px
        return with_events(gaze, aspect, self.parameters.saccade_widths_s)

    def digest(self, recording: Recording, gaze: GazeSamples) -> str:
        """Return what marks a file as made from these raw files and parameters."""
        return self.parameters.video_digest(VIDEO_VERSION, fingerprint(recording.video, self.decode_timeout_s), gaze)

    def is_done(self, video_id: str, digest: str) -> bool:
        """Return whether the store has the video as it would be made now.

        A file that cannot be read is made again, and so is one with more damage than is allowed now, or whose copy of
        the video is missing, another one, or not known to be whole: an older store does not say.
        """
        try:
            arrays, made_as = read_video_gaze(video_file(self.store, video_id))
            if self.parameters.video_short_side_px is not None:
                copied = fingerprint(reencoded_file(self.store, video_id))
                if copied != (arrays.counts.copy_bytes, arrays.counts.copy_ends):
                    return False
        except (ValueError, OSError):
            return False
        return made_as == digest and arrays.counts.damaged_share <= self.parameters.max_damaged

    def write(self, recording: Recording, gaze: GazeSamples, digest: str, report: Report) -> None:
        """Write the video's files.

        The arrays come last, for they carry the mark that all is done.
        """
        info, short_side_px = video_info(recording.video, self.decode_timeout_s), self.parameters.video_short_side_px
        on_frame = [_reporter(info, report)]
        with ExitStack() as stack:
            if short_side_px is not None:
                path = reencoded_file(self.store, recording.video_id)
                draft = stack.enter_context(draft_of(path))
                stack.enter_context(writing(path))
                on_frame.append(stack.enter_context(reencoder(draft, info, short_side_px, self.parameters.video_gop)))
            arrays = prepare_video(recording.video, gaze, self.parameters, on_frame, timeout_s=self.decode_timeout_s)
            check_damage(recording.video, arrays.counts, self.parameters.max_damaged)
        if short_side_px is not None:
            pts = [pts if pts == NO_PTS else reencoded_pts(info, pts) for pts in arrays.frame_pts.tolist()]
            copy_bytes, copy_ends = fingerprint(path)
            counts = replace(arrays.counts, copy_bytes=copy_bytes, copy_ends=copy_ends)
            arrays = replace(arrays, frame_pts=np.array(pts, dtype=np.int64), counts=counts)
        write_video_gaze(video_file(self.store, recording.video_id), arrays, digest)


def check_damage(video: Path, counts: VideoCounts, limit: float) -> None:
    """Check that few enough frames of a video are damaged.

    Raises:
        InputError: more of its frames than the share `limit` are damaged, or all of them.
    """
    if counts.damaged_share > limit or counts.damaged_frames == counts.video_frames:
        raise InputError(
            f"{video}: {counts.damaged_frames} of {counts.video_frames} frames are damaged, more than max_damaged = "
            f"{limit:g} allows; copy the video again"
        )


def _reporter(info: VideoInfo, report: Report) -> Callable[[TimedFrame], None]:
    reported_s = time.monotonic()

    def on_frame(frame: TimedFrame) -> None:
        nonlocal reported_s
        if time.monotonic() - reported_s >= REPORT_EVERY_S:
            reported_s = time.monotonic()
            report(min(1.0, frame.t_s / info.duration_s) if info.duration_s else 0.0)

    return on_frame
