"""`gaze-vlm look`: where a model looks while it answers, as a page and as a figure."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gaze_vlm.attention.sources import Layers
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.loading import Dtype, chosen_device
from gaze_vlm.datamodules.clip import Clip
from gaze_vlm.errors import InputError, OptionError
from gaze_vlm.gaze.mixture import GazeMixture, average_groups
from gaze_vlm.home import in_home
from gaze_vlm.inference.clips import clip_of_frames
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.questions import trained_on
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.look.figure import MOST_PANELS, draw_look, rows_of
from gaze_vlm.look.frames import Frames, frames_of_images, frames_of_video
from gaze_vlm.look.gaze_points import gaze_at_frames
from gaze_vlm.look.kept_maps import TITLES, MapKeeper
from gaze_vlm.look.page import left_out, render_look
from gaze_vlm.look.tokens import token_texts
from gaze_vlm.look.watched_clip import GazeOnGrids, WatchedClip
from gaze_vlm.look.watching import SOURCES, Source, Watched, ask, watch, watched_layers
from gaze_vlm.output import check_output_file, write_atomically
from gaze_vlm.progress import work_progress
from gaze_vlm.ranges import above_zero, at_least
from gaze_vlm.report.figures import KINDS as PICTURES
from gaze_vlm.report.figures import save
from gaze_vlm.report.html import KINDS as PAGES

MAPS_MB = 20.0
OBSERVATION_S, FRAME_HZ = 4.0, 2.0  # of a video, where the model's own clips are not known


def look(
    model: str,
    prompt: str,
    video: Path | None = None,
    images: list[Path] | None = None,
    output: Path | None = None,
    figure: Path | None = None,
    answer: str | None = None,
    gaze: Path | None = None,
    sources: list[Source] | None = None,
    layers: list[int] | None = None,
    heads: list[int] | None = None,
    tokens: list[int] | None = None,
    observation_s: float | None = None,
    frame_hz: float | None = None,
    end_s: float | None = None,
    frame_size_px: tuple[int, int] | None = None,
    dtype: Dtype | None = None,
    device: str | None = None,
    max_new_tokens: int | None = None,
    maps_mb: float = MAPS_MB,
) -> None:
    """Show a model's attention on frames while it answers: by layer, head and token of the answer.

    Args:
        model: a run, an exported folder, a checkpoint's folder, its hub name, or the name of one that ships.
        prompt: the question.
        video: the video to look at; give this, or `images`.
        images: images, or folders of images, which are taken as frames a second apart.
        output: the page to write, one HTML file to click through.
        figure: the figure to write, PNG, JPEG, PDF or SVG by its name.
        answer: what is answered; by default what the model answers.
        gaze: gaze to show beside it: a table, or a recording of an eye tracker, in any format of docs/importers.md.
        sources: whose attention; by default all that there are.
        layers: layers of the one source that is named, from 0; negative ones count from the last. By default all.
        heads: heads of the one source that is named, from 0; by default as many as there is room for.
        tokens: tokens of the answer that the figure shows, from 1; by default their mean.
        observation_s: seconds of the video. By default as long as the clips that the model was trained on, where these
            are known; else 4.
        frame_hz: frames a second of the video. By default as in those clips; else 2.
        end_s: second at which they end, as players count, from the start of the file; by default the video's end.
        frame_size_px: height and width of a frame at the vision tower, as in `[336,448]`, where the model can choose.
        dtype: of the weights, in place of the model's own choice.
        device: what to run on, as torch names it; by default a GPU where there is one.
        max_new_tokens: longest answer, in tokens, in place of the model's own choice.
        maps_mb: megabytes that the maps of a page may take.

    Raises:
        OptionError: options that are missing, or do not go together.
        InputError: a file, a model or a number that cannot be used.
        MissingFileError: a file or a model that is not there.
    """
    at_least(1, max_new_tokens=max_new_tokens)
    above_zero(maps_mb=maps_mb, end_s=end_s, observation_s=observation_s, frame_hz=frame_hz)
    if not prompt.strip():
        raise InputError("--prompt is empty: give a question")
    wrong = {
        "give --video, or --images, and not both": (video is None) == (not images),
        "--end_s, --observation_s and --frame_hz are of a --video": video is None
        and (end_s, observation_s, frame_hz) != (None, None, None),
        "give --output for a page, --figure for a figure, or both": output is None and figure is None,
        "--tokens are those of a --figure: name one": tokens is not None and figure is None,
        f"layers and heads are those of one source: name it, as in `--sources {SOURCES[-1]}`": len(sources or ()) != 1
        and (layers, heads) != (None, None),
    }
    for text, is_wrong in wrong.items():
        if is_wrong:
            raise OptionError(text, command="gaze-vlm look")
    for path, kinds in ((output, PAGES), (figure, PICTURES)):
        if path is not None:
            check_output_file(path, kinds)
    layers, heads, tokens = (None if one is None else [*dict.fromkeys(one)] for one in (layers, heads, tokens))
    model = in_home(model)
    trained = trained_on(model).times
    length_s = observation_s or trained.get("observation_s", OBSERVATION_S)
    times = WindowTimes(length_s, length_s, frame_hz or trained.get("frame_hz", FRAME_HZ))
    frames = frames_of_video(video, times, end_s) if video is not None else frames_of_images(images or [])
    if figure is not None and len(frames.images) > MOST_PANELS:
        raise InputError(
            f"the figure would have {len(frames.images)} frames, more than {MOST_PANELS} panels: give fewer frames, or "
            "leave out --figure"
        )
    points = None
    if gaze is not None:
        height_px, width_px = frames.images.shape[-2:]
        points = gaze_at_frames(gaze, frames.video_times_s, (width_px, height_px), frames.video)
    on = chosen_device(device)
    chosen: dict[str, Any] = {"frame_size_px": frame_size_px, "dtype": dtype, "max_new_tokens": max_new_tokens}
    backbone = load_backbone(model, **{name: value for name, value in chosen.items() if value is not None})
    backbone = backbone.to(on)
    watched = _watched(backbone, sources, "all" if layers is None else layers)
    clip = look_at(backbone, frames, prompt, answer, watched, int(maps_mb * 1e6), heads, points, model)
    rows = [] if figure is None else rows_of(clip, layers, heads, tokens)
    if output is not None:
        page = render_look(clip, shlex.join(["gaze-vlm", *sys.argv[1:]]))
        write_atomically(output, page)
        print(f"wrote {output} ({len(page.encode()) / 1e6:.1f} MB)")
        for line in left_out(clip):
            print(f"left out: {line}")
    if figure is not None:
        save(draw_look(clip, rows), figure)


def look_at(
    backbone: Backbone,
    frames: Frames,
    prompt: str,
    answer: str | None,
    watched: dict[Source, Watched],
    most_bytes: int,
    heads: Sequence[int] | None = None,
    gaze: GazeMixture | None = None,
    name: str = "the model",
) -> WatchedClip:
    """Ask about frames, and keep where the model looks while it answers.

    Args:
        backbone: loaded, in eval mode.
        frames: what it looks at.
        prompt: the question.
        answer: what is answered; None is what the model answers.
        watched: layers of each source.
        most_bytes: of the maps that are kept; see `MapKeeper`.
        heads: to keep of every layer.
        gaze: points of the frames.
        name: of the model, for who reads it.

    Raises:
        InputError: frames that the model cannot take, or there is no room for the maps.
    """
    clip: Clip = clip_of_frames(frames.images, frames.times_s, prompt)
    asked = ask(backbone, clip, answer)
    keeper = MapKeeper(watched, len(asked.answer_ids), most_bytes, heads)
    with work_progress("attention, layers", sum(len(one.modules) for one in watched.values())) as progress:

        def see(*of_layer: Any) -> None:
            keeper.see(*of_layer)
            progress.advance()

        probabilities = watch(backbone, asked, watched, see)
    return WatchedClip(
        model=name,
        prompt=prompt,
        given=answer is not None,
        frames=frames.images.numpy(),
        times_s=frames.played_s,
        tokens=token_texts(backbone.processor.tokenizer, asked.answer_ids.tolist()),
        probabilities=probabilities.tolist(),
        sources=[keeper.of[source] for source in SOURCES if source in keeper.of],
        covered=backbone.covered_view,
        frames_per_group=backbone.layout.frames_per_group,
        gaze=None if gaze is None else _on_grids(backbone, gaze, watched),
    )


def _watched(backbone: Backbone, sources: list[Source] | None, layers: Layers) -> dict[Source, Watched]:
    """Layers of the sources that are named, or of all that the model has."""
    found = {}
    for source in SOURCES if sources is None else dict.fromkeys(sources):
        one = watched_layers(backbone, source, layers)
        if one is not None:
            found[source] = one
        elif sources is not None:
            raise InputError(f"sources {source}: the model has no {TITLES[source].lower()}")
    return found


def _on_grids(backbone: Backbone, gaze: GazeMixture, watched: dict[Source, Watched]) -> GazeOnGrids:
    """Gaze on the patches of each source, for each frame group."""
    of_source, valid = {}, torch.zeros(0, dtype=torch.bool)
    for source, one in watched.items():
        if one.grid is not None:
            made = gaze.on(one.grid, backbone.covered_view, backbone.options.min_mass_in_view)
            distribution, valid = average_groups(*made, backbone.layout.frames_per_group)
            of_source[source] = distribution.numpy()
    return GazeOnGrids(gaze, of_source, valid.numpy())
