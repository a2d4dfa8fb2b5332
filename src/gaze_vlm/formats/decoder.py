"""Decoding of a video from where its container stands, by pts, with seeks and past what is damaged."""

import math
from collections.abc import Iterator
from pathlib import Path

import av

from gaze_vlm.errors import InputError

WRITE_ANEW = "write the video anew, as by `ffmpeg -i OLD NEW.mp4`"
REFRESHED = ("h264", "hevc")  # codecs of videos without key frames, whose pictures are made anew bit by bit
SEEK_S = 2.0  # without an index of key frames: decode on over gaps up to this
Decoded = tuple[int, av.VideoFrame | None]
"""A frame by its pts; None if it is damaged."""


def backwards(path: Path, t_s: float) -> InputError:
    """Return what to raise of timestamps that run backwards."""
    return InputError(f"{path}: timestamps run backwards at {t_s:.2f} s; {WRITE_ANEW}")


def decoded(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> Iterator[Decoded]:
    """Yield frames from where `container` stands, by pts; None if damaged.

    Damaged are a packet that the decoder refuses, a frame that it marks as corrupt, and all that it gives from there to
    the next key frame, for they are built upon it; a few frames that it had held back are lost with them. What it takes
    for intact, wrong as it may look, cannot be detected.
    """
    expected: set[int] = set()  # frames that packets have announced, for a decoder may drop some without a word
    broken, given_pts, resume_pts = False, -math.inf, -math.inf
    for packet in container.demux(stream):
        if packet.pts is not None and not packet.is_discard:
            expected.add(packet.pts)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            broken, resume_pts = True, max(resume_pts, -math.inf if packet.pts is None else packet.pts)
            continue
        for frame in frames:
            pts = _pts(frame, path)
            # A key frame from before the damage may still have been on its way out.
            if frame.is_corrupt or (broken and not (frame.key_frame and pts > resume_pts)):
                broken = True
                continue
            if broken:
                yield from ((lost, None) for lost in sorted(expected) if given_pts < lost < pts)
            yield pts, frame
            broken, given_pts = False, pts
            expected = {later for later in expected if later > pts}
    if broken:
        yield from ((lost, None) for lost in sorted(expected) if given_pts < lost)


class Decoder:
    """Forward decoding with seeks.

    It holds the last frame given and, once it is known, the one after it; a damaged one has its pts alone.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> None:
        self.container, self.stream, self.path = container, stream, path
        self.frames = decoded(container, stream, path)
        self.current: Decoded | None = None
        self.following: Decoded | None = None
        self.is_at_end = False
        self.reach_pts = int(SEEK_S / (stream.time_base or 1))

    def at_or_before(self, target: int) -> Decoded | None:
        """The last frame whose pts is at most `target`, None if there is none; targets must ascend."""
        if self._seek_is_shorter(target):
            self._seek(target)
        while self.current is None or self.current[0] != target:  # an exact hit needs no look ahead
            if self.following is None:
                self.following = next(self.frames, None)
                self.is_at_end = self.following is None
            if self.following is None or self.following[0] > target:
                break
            self._advance(self.following)
        return self.current

    def _advance(self, following: Decoded) -> None:
        pts = following[0]
        if self.current is not None and pts <= self.current[0]:
            t_s = float((pts - (self.stream.start_time or 0)) * (self.stream.time_base or 0))
            raise backwards(self.path, t_s)
        self.current, self.following = following, None

    def _seek_is_shorter(self, target: int) -> bool:
        if self.container.format.name == "mpeg":  # few packets state their time; after a seek, others' are guessed
            return False
        position = (self.stream.start_time or 0) if self.current is None else self.current[0]
        index = self.stream.index_entries
        key = index.search_timestamp(target, backward=True)
        if key >= 0:
            return index[key].timestamp > position
        return target - position > self.reach_pts

    def _seek(self, target: int) -> None:
        """To a key frame at or before `target`; further back where a container lands late, or on no key frame.

        Of a video that is refreshed bit by bit a decoder gives frames that lack a part, and does not mark all of them.
        """
        start = self.stream.start_time or 0
        for offset in (target, max(start, target - self.reach_pts), start):
            self.container.seek(offset, stream=self.stream, backward=True)
            self.frames = decoded(self.container, self.stream, self.path)
            self.current, self.following = None, next(self.frames, None)
            pts, frame = self.following or (math.inf, None)
            begins = frame is None or frame.key_frame or self.stream.codec_context.name not in REFRESHED
            if pts <= target and begins:
                return


def _pts(frame: av.VideoFrame, path: Path) -> int:
    if frame.pts is None:
        raise InputError(f"{path}: a frame without a presentation timestamp; {WRITE_ANEW}")
    return frame.pts
