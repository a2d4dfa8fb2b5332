"""Questions about the windows of videos, answered in batches and in a fixed order."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from torch import Tensor

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.datamodules.clip import Batch, Clip
from gaze_vlm.errors import InputError
from gaze_vlm.inference.caption_file import Caption, CaptionFile
from gaze_vlm.inference.clips import clip_of_frames, on_device_of
from gaze_vlm.inference.questions import Question
from gaze_vlm.inference.videos import PlannedVideo
from gaze_vlm.inference.windows import Window, WindowTimes, read_windows
from gaze_vlm.progress import say, work_progress

END_VALUES = 256  # of a weight, at either end, that a model is known by
Asked = tuple[Caption, Clip]  # without its answer, and what the model reads
Item = TypeVar("Item")


def write_captions(
    file: CaptionFile,
    videos: Sequence[PlannedVideo],
    questions: Sequence[Question],
    backbone: Backbone,
    times: WindowTimes,
    batch_size: int,
    timeout_s: float | None = None,
) -> None:
    """Answer what a file of captions still lacks, and write it batch by batch.

    A video that cannot be read, or not to its end, is noted in the file. Windows with a damaged frame have no lines.

    Args:
        file: may have lines of before.
        videos: in the order of the lines.
        questions: asked of each window.
        backbone: answers.
        times: of the windows.
        batch_size: answers that are made at once.
        timeout_s: seconds that the decoder may take for a window; None waits for ever.
    """
    collator = backbone.collator()
    if file.captions:
        say(f"resuming: {len(file.captions)} captions are there")
    total = sum(len(video.ends_s) for video in videos) * len(questions) - len(file.captions)
    asked = ask(file, videos, questions, collator, times, timeout_s)
    with work_progress("captions", total) as progress:
        for captions, batch in read_ahead(collated(asked, collator, batch_size)):
            answers = backbone.generate(on_device_of(backbone, batch))
            file.append([replace(one, answer=answer) for one, answer in zip(captions, answers, strict=True)])
            for _ in captions:
                progress.advance()
    file.note(is_finished=True, lines=len(file.captions))


def ask(
    file: CaptionFile,
    videos: Sequence[PlannedVideo],
    questions: Sequence[Question],
    collator: Collator,
    times: WindowTimes,
    timeout_s: float | None,
) -> Iterator[Asked]:
    """Yield what a file of captions lacks, question by question of each window."""
    last = file.captions[-1] if file.captions else None
    for video in videos:
        if last is not None and video.name < last.video:  # names are sorted
            continue
        resumed = last if last is not None and video.name == last.video else None
        ends_s = [end_s for end_s in video.ends_s if resumed is None or video.as_played(end_s) >= resumed.end_s]
        try:
            for window in read_windows(video.path, times, ends_s, timeout_s):
                asked = ask_about(video, window, questions, collator)
                if resumed is not None and asked and asked[0][0].end_s == resumed.end_s:
                    asked = asked[[question.prompt for question in questions].index(resumed.prompt) + 1 :]
                yield from asked
        except (InputError, OSError) as error:
            file.leave_out(video.name, str(error))


def ask_about(video: PlannedVideo, window: Window, questions: Sequence[Question], collator: Collator) -> list[Asked]:
    """Return the questions about a window, all of which show one clip; none where a frame is damaged."""
    if window.frames is None:
        return []
    start_s, end_s = video.as_played(window.start_s), video.as_played(window.end_s)
    shown = clip_of_frames(window.frames, window.frame_times_s, "", f"{video.name} {end_s}")
    # As the model reads them: frames of large videos would fill the memory.
    shown = replace(shown, frames=None, visual={"pixel_values": collator.pixel_values(window.frames)})
    return [
        (Caption(video.name, start_s, end_s, one.task, one.prompt, ""), replace(shown, prompt=one.prompt))
        for one in questions
    ]


def collated(asked: Iterator[Asked], collator: Collator, batch_size: int) -> Iterator[tuple[list[Caption], Batch]]:
    """Yield batches, each with its captions, which lack their answers."""
    while some := list(islice(asked, batch_size)):
        yield [caption for caption, _ in some], collator([clip for _, clip in some])


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items, each of which was made while the one before it was used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def damaged_windows(videos: Sequence[PlannedVideo], captions: Sequence[Caption]) -> dict[str, str]:
    """Say of which videos that could be read some windows have no captions, for a damaged frame."""
    there = {(caption.video, caption.end_s) for caption in captions}
    said = {}
    for video in videos:
        count = sum((video.name, video.as_played(end_s)) not in there for end_s in video.ends_s)
        if count:
            said[video.name] = (
                f"{video.path}: {count} of its {len(video.ends_s)} windows show frames that cannot be decoded"
            )
    return said


def weights_digest(backbone: Backbone) -> str:
    """Return a digest of a model's weights, of some values of each."""
    digest = hashlib.sha256()
    for name, weight in sorted(backbone.state_dict().items()):
        values: Tensor = weight.detach().flatten()
        ends = [values[:END_VALUES], values[-END_VALUES:]]
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        for end in ends:
            digest.update(end.float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
