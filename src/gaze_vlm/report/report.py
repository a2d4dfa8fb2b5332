"""`gaze-vlm report`: the page of a comparison, or a clip as a video."""

from pathlib import Path

from gaze_vlm.comparison.choice import Choice
from gaze_vlm.errors import InputError
from gaze_vlm.output import check_output_file, write_atomically
from gaze_vlm.ranges import at_least
from gaze_vlm.report.html import KINDS

COUNT = 3


def report(
    config: Path | None = None,
    backbone: list[str] | None = None,
    data: list[str] | None = None,
    also_test: list[str] | None = None,
    arms: list[str] | None = None,
    train_clips: int | None = None,
    seeds: list[int] | None = None,
    output: Path | None = None,
    count: int = COUNT,
    clips: list[str] | None = None,
    clip: str | None = None,
    runs: list[Path] | None = None,
) -> Path:
    """Write the page of a comparison: one HTML file that needs no network.

    With `clip` in place of `config` it is an mp4 of that clip, with gaze and attention drawn in.

    Args:
        config: YAML of the comparison, as for `gaze-vlm compare`; the page is of its finished runs.
        backbone: as for `gaze-vlm compare`; so are the next five.
        data: data sets.
        also_test: data sets to test on.
        arms: arms.
        train_clips: number of train clips.
        seeds: seeds.
        output: the page or video to write; by default the page lies beside the comparison's table.
        count: clips a section; 0 leaves the clips out, so that no model is run.
        clips: ids of further test clips to show on the page.
        clip: id of the test clip of a video.
        runs: run directories whose attention the video shows, from left to right.

    Raises:
        InputError: neither or both of `config` and `clip` are given, nothing is finished, or a clip is not there.
    """
    at_least(0, count=count)
    if clip is not None and output is not None and config is None:
        check_output_file(output, (".mp4",))
        from gaze_vlm.report.clip_video import write_clip_video  # imports torch, as the page does

        write_clip_video(clip, runs or [], output)
        print(f"wrote {output}")
        return output
    if config is None or clip is not None:
        raise InputError("give --config for a page, or --clip with --runs and --output for a video")
    if output is not None:
        check_output_file(output, KINDS)
    from gaze_vlm.report.compared import read_compared
    from gaze_vlm.report.page import page_of

    choice = Choice.of(backbone, data, also_test, arms, train_clips)
    found = read_compared(config, choice, seeds)
    output = output or found.comparison.output.with_name(f"{found.comparison.output.name}.html")
    check_output_file(output)
    write_atomically(output, page_of(found, output, count, clips or []))
    print(f"wrote {output}")
    return output
