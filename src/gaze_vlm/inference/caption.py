"""`gaze-vlm caption`: what a model says of videos, window by window. No gaze, no store."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.loading import Dtype, chosen_device
from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import visible
from gaze_vlm.home import in_home
from gaze_vlm.inference.answering import damaged_windows, weights_digest, write_captions
from gaze_vlm.inference.caption_file import Caption, CaptionFile, MadeOf, open_captions
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.overlay import write_overlay
from gaze_vlm.inference.questions import questions_of, trained_on, window_times
from gaze_vlm.inference.subtitles import Kind, cues, written
from gaze_vlm.inference.videos import PlannedVideo, beside, find_videos, identity, plan
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.output import check_output_file, write_atomically
from gaze_vlm.progress import say
from gaze_vlm.ranges import above_zero, at_least

BATCH_SIZE = 8


def caption(
    model: str,
    videos: Path,
    output: Path,
    prompt: list[str] | None = None,
    observation_s: float | None = None,
    stride_s: float | None = None,
    frame_hz: float | None = None,
    batch_size: int = BATCH_SIZE,
    max_new_tokens: int | None = None,
    dtype: Dtype | None = None,
    device: str | None = None,
    subtitles: list[Kind] | None = None,
    overlay: bool = False,
    decode_timeout_s: float | None = 60.0,
) -> Path:
    """Describe videos window by window, without gaze; the same command resumes a stopped one.

    Args:
        model: directory of a run, folder that `gaze-vlm export` wrote, checkpoint folder, its hub name, or the name of
            one that ships (`kitchen-llava`).
        videos: folder of videos, searched with the folders in it; or one video.
        output: file of the captions, one JSON object a line (.jsonl).
        prompt: your own questions, one or several, in place of what the camera wearer does and will do next.
        observation_s: length of a window, in seconds. By default that of the clips that the run was trained on, else 5.
        stride_s: seconds between the ends of successive windows. By default that of the run's clips, else
            `observation_s`.
        frame_hz: rate of the frames that are shown to the model, in Hz. By default that of the run's clips, else 1.
        batch_size: answers that are made at once.
        max_new_tokens: longest answer, in tokens; by default the model's own limit.
        dtype: of the weights; by default the run's, else float32.
        device: what to run on, as torch names it; by default a GPU where there is one.
        subtitles: `srt`, `vtt` or both: subtitles of each video, beside the output.
        overlay: write an mp4 of each video beside the output, with attention and captions drawn in.
        decode_timeout_s: seconds that the decoder may take for a window. A video that takes longer is left out; None
            waits for ever.

    Raises:
        MissingFileError: the model or the folder is not there.
        InputError: no video is there, the output was made of other things, or, when all else is done, a video could not
            be captioned whole.
        OutputError: the file system refused.
    """
    model = in_home(model)
    at_least(1, batch_size=batch_size, max_new_tokens=max_new_tokens)
    above_zero(observation_s=observation_s, stride_s=stride_s, frame_hz=frame_hz, decode_timeout_s=decode_timeout_s)
    check_output_file(output, (".jsonl",))
    found = find_videos(videos)
    if overlay and videos.is_dir() and output.resolve().is_relative_to(videos.resolve()):
        raise InputError(
            f"--overlay writes videos beside {output}, among those of --videos: name an --output elsewhere"
        )
    kinds = [*dict.fromkeys(subtitles or ()), *(["mp4"] if overlay else [])]
    paths = {kind: beside(output, [*found], f".{kind}") for kind in kinds}
    trained = trained_on(model)
    questions = questions_of(trained, prompt)
    chosen, changed = chosen_device(device), {"max_new_tokens": max_new_tokens, "dtype": dtype}
    backbone = load_backbone(model, **{name: value for name, value in changed.items() if value is not None})
    collator = backbone.collator()
    for question in questions:
        collator.check_asked(question.prompt, "--prompt")
    times = window_times(trained, backbone, observation_s, stride_s, frame_hz)
    planned, left_out = plan(found, times, decode_timeout_s)
    made_of = MadeOf(
        model=model,
        options={
            "weights": weights_digest(backbone),
            "prompts": [question.prompt for question in questions],
            "observation_s": times.observation_s,
            "stride_s": times.stride_s,
            "frame_hz": times.frame_hz,
            "max_new_tokens": backbone.options.max_new_tokens,
            "dtype": backbone.options.dtype,
            "device": chosen,
            "batch_size": batch_size,
        },
        videos={name: identity(path) for name, path in found.items()},
    )
    backbone.to(chosen)
    with open_captions(output, made_of, batch_size) as file:
        if not file.made_of.is_finished:
            write_captions(file, planned, questions, backbone, times, batch_size, decode_timeout_s)
        of_video = {name: list(lines) for name, lines in groupby(file.captions, key=lambda one: one.video)}
        print(f"{output} has {len(file.captions)} captions of {len(of_video)} videos")
        for kind in subtitles or ():
            for name, captions in of_video.items():
                write_new(paths[kind][name], written(cues(captions), kind))
        left_out |= damaged_windows(
            [video for video in planned if video.name not in file.made_of.left_out], file.captions
        )
        left_out |= file.made_of.left_out
        if overlay:
            shown = [video for video in planned if video.name in of_video]
            left_out |= write_overlays(file, shown, of_video, paths["mp4"], backbone, times, decode_timeout_s)
    for reason in left_out.values():
        say(f"left out: {reason}")
    if left_out:
        raise InputError(
            f"{len(left_out)} of {len(found)} videos could not be captioned whole, for the reasons above; {output} has "
            "what could"
        )
    return output


def write_new(path: Path, content: str) -> None:
    """Write a file, or say that another is there, which stays as it is."""
    if not path.exists():
        write_atomically(path, content)
    elif not path.is_file() or path.read_bytes() != content.encode():
        say(f"{path} is there with other content, and stays: delete it, or name another --output")


def write_overlays(
    file: CaptionFile,
    videos: Sequence[PlannedVideo],
    captions: Mapping[str, Sequence[Caption]],
    paths: Mapping[str, Path],
    backbone: Backbone,
    times: WindowTimes,
    timeout_s: float | None,
) -> dict[str, str]:
    """Write the overlay of each video that has none yet; return why one could not be.

    It is noted before: what is there without a note is a file of others, and stays.
    """
    failed = {}
    for video in videos:
        path, is_noted = paths[video.name], video.name in file.made_of.overlays
        if path.exists():
            if not is_noted:
                failed[video.name] = f"no overlay: {path} is there already: delete it, or name another --output"
            continue
        if not is_noted:
            file.note(overlays=(*file.made_of.overlays, video.name))
        try:
            write_overlay(video, captions[video.name], backbone, times, path, timeout_s)
        except InputError as error:
            failed[video.name] = f"no overlay: {error}"
            continue
        print(visible(f"wrote {path}"))
    return failed
