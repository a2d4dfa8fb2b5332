"""`gaze-vlm caption` on videos of several kinds with the shipped model: lines, resuming, refusals, subtitles."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from egtea_files import iterate_frames, shift_px, spoil, texture, turn, write_late, write_video
from gaze_vlm.cli import main
from gaze_vlm.inference import answering
from gaze_vlm.inference.caption_file import CaptionFile
from gaze_vlm.inference.clips import answer, clip_of_frames
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.videos import find_videos
from killed_training import CONTEXT

QUESTIONS = {"activity": "What is the camera wearer doing?", "future": "What will the camera wearer do next?"}
OPTIONS = ["--observation_s=2", "--frame_hz=2", "--stride_s=1", "--batch_size=5", "--device=cpu"]
UNKNOWN_WORDS = pytest.mark.filterwarnings("ignore:--prompt .* has words that the model's tokenizer does not know")
WHOLE = ["a/walk.mp4", "b/phone.MP4", "late.mkv"]  # in the order of the lines


def images(seed: int, count: int) -> list[np.ndarray]:
    whole = texture(seed)
    return [whole[:96, shift_px(i) :][:, :128] for i in range(count)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A variable frame rate, a phone's portrait, a late start, and four that cannot be captioned, or not whole."""
    folder = tmp_path_factory.mktemp("videos")
    ticks = np.random.default_rng(0).choice([100, 200], 96).cumsum()
    write_video(folder / "a" / "walk.mp4", images(0, 96), ticks - ticks[0])
    turn(write_video(folder / "b" / "phone.MP4", images(1, 84)), (0, 1, -1, 0))
    write_late(folder / "late.mkv", images(2, 72))
    return folder


@pytest.fixture(scope="module")
def whole(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captions of all, made without an interruption."""
    output = tmp_path_factory.mktemp("whole") / "captions.jsonl"
    assert run(videos, output, "--subtitles", "srt", "vtt") == 0
    return output


def run(videos: Path, output: Path, *more: str) -> int:
    return main(["caption", "--model=kitchen-llava", f"--videos={videos}", f"--output={output}", *OPTIONS, *more])


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_lines_are_in_a_fixed_order(whole: Path) -> None:
    found = rows(whole)
    assert list(dict.fromkeys(row["video"] for row in found)) == WHOLE
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert [(row["task"], row["prompt"]) for row in (first, second)] == list(QUESTIONS.items())
        assert (first["video"], first["start_s"]) == (second["video"], second["start_s"])
    phone = [(row["start_s"], row["end_s"]) for row in found[::2] if row["video"] == "b/phone.MP4"]
    assert phone == [(0.0, 2.0), (1.0, 3.0)]  # 3.5 s
    late = [(row["start_s"], row["end_s"]) for row in found[::2] if row["video"] == "late.mkv"]
    assert late == [(0.5, 2.5), (1.5, 3.5)]  # as a player counts


@pytest.mark.parametrize("name", WHOLE)
def test_answers_are_about_the_frames_on_screen(videos: Path, whole: Path, name: str) -> None:
    """By decoding all of a video, and asking about each window alone."""
    backbone = load_backbone("kitchen-llava")
    frames = [(t_s, image) for _, t_s, image in iterate_frames(videos / name)]
    offset_s = 0.5 if name == "late.mkv" else 0.0
    for row in (row for row in rows(whole) if row["video"] == name):
        times_s = [0.5, 1.0, 1.5, 2.0]
        at_s = [row["start_s"] - offset_s + t_s for t_s in times_s]
        shown = np.stack([[image for t_s, image in frames if t_s <= at + 1e-6][-1] for at in at_s])
        pixels = torch.from_numpy(shown).permute(0, 3, 1, 2)
        assert row["answer"] == answer(backbone, [clip_of_frames(pixels, times_s, row["prompt"])])[0]


def die_after(output: Path, videos: Path, batches: int) -> None:
    """Caption until some batches are written and the next is half, then be killed."""
    append = CaptionFile.append
    left = iter(range(batches))

    def append_or_die(file: CaptionFile, captions: Any) -> None:
        if next(left, None) is not None:
            append(file, captions)
            return
        with output.open("a") as stream:
            stream.write(captions[0].line() + captions[1].line()[:20])
        os.kill(os.getpid(), signal.SIGKILL)

    CaptionFile.append = append_or_die  # type: ignore[method-assign]
    run(videos, output)


def test_a_killed_command_resumes_to_the_same_bytes(videos: Path, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "captions.jsonl"
    for batches in (1, 1):  # killed twice
        process = CONTEXT.Process(target=die_after, args=(output, videos, batches))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    assert len(output.read_bytes().splitlines()) == 12  # two batches of five, a line, and a torn one
    assert run(videos, output) == 0
    assert output.read_bytes() == whole.read_bytes()
    beside = Path("captions.made_of.json")
    assert (tmp_path / beside).read_bytes() == (whole.parent / beside).read_bytes()


@pytest.mark.parametrize("kept", ["a line of an unfinished batch of other options", "half of what was finished"])
def test_what_is_cut_off_is_answered_again(kept: str, videos: Path, whole: Path, tmp_path: Path) -> None:
    output, made_of = tmp_path / "captions.jsonl", tmp_path / "captions.made_of.json"
    lines, noted = whole.read_bytes().splitlines(True), (whole.parent / made_of.name).read_bytes()
    assert json.loads(noted)["lines"] == len(lines)
    if kept.startswith("half"):
        output.write_bytes(b"".join(lines[: len(lines) // 2]))
        made_of.write_bytes(noted)
    else:
        output.write_bytes(lines[0] + lines[1][:9])
        values = json.loads(noted)
        made_of.write_text(json.dumps({**values, "options": {"batch_size": 2}, "is_finished": False, "lines": 0}))
    assert run(videos, output) == 0
    assert output.read_bytes() == whole.read_bytes()
    assert made_of.read_bytes() == noted


def test_a_finished_file_is_left_as_it_is(videos: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "read_windows", lambda *_: pytest.fail("nothing is to be read"))
    before = whole.read_bytes()
    assert run(videos, whole) == 0
    assert whole.read_bytes() == before


def test_subtitles_stand_beside(whole: Path) -> None:
    names = {path.relative_to(whole.parent).as_posix() for path in whole.parent.rglob("*.*t")}
    kinds = ("srt", "vtt")
    assert names == {f"{Path(name).with_suffix('')}.captions.{kind}" for name in WHOLE for kind in kinds}
    late = [row["answer"] for row in rows(whole) if row["video"] == "late.mkv"]
    assert (whole.parent / "late.captions.srt").read_text() == (
        f"1\n00:00:00,500 --> 00:00:02,500\nnow: {late[0]}\nnext: {late[1]}\n\n"
        f"2\n00:00:02,500 --> 00:00:03,500\nnow: {late[2]}\nnext: {late[3]}\n"
    )
    assert (whole.parent / "late.captions.vtt").read_text().startswith("WEBVTT\n\n00:00:00.500 --> 00:00:02.500\nnow:")


@UNKNOWN_WORDS
def test_what_cannot_be_read_is_reported_and_the_rest_written(
    videos: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "videos"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "phone.MP4").write_bytes((videos / "b" / "phone.MP4").read_bytes())
    (folder / "noise.mp4").write_bytes(b"no video at all" * 99)
    write_video(folder / "short.mp4", images(3, 24))
    spoil(write_video(folder / "spoilt.mp4", images(4, 96), gop=12), 62)  # about 2.5 s
    output = tmp_path / "captions.jsonl"
    for _ in range(2):  # the second time everything is there, and is said again
        assert run(folder, output, "--prompt", "What colour, or none?") == 1
        said = capsys.readouterr().err
        assert "noise.mp4: cannot be decoded" in said
        assert "short.mp4: 1.00 s long, shorter than a window of 2 s: give a smaller --observation_s" in said
        assert "spoilt.mp4: 2 of its 3 windows show frames that cannot be decoded" in said
        assert f"error: 3 of 4 videos could not be captioned whole, for the reasons above; {output} has" in said
    found = rows(output)
    assert [(row["video"], row["end_s"], row["task"], row["prompt"]) for row in found] == [
        ("b/phone.MP4", 2.0, None, "What colour, or none?"),
        ("b/phone.MP4", 3.0, None, "What colour, or none?"),
        ("spoilt.mp4", 2.0, None, "What colour, or none?"),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--stride_s=0.5"], "captions.jsonl was written with stride_s 1.0, and this is 0.5: name another --output"),
        (
            ["--prompt=Why?"],
            r"was written with prompts What is the camera wearer doing\?, What will .* and this is Why\?: name",
        ),
        (["--batch_size=4"], "was written with batch_size 5, and this is 4"),
        (["--observation_s=2.25"], "observation_s is 2.25; expected a multiple of the time between frames, 0.5 s"),
        (["--prompt="], "--prompt is empty or there twice"),
        (["--prompt=What is <image>?"], "holds <image>, a special token of the model"),
        (["--output=captions.txt"], r"captions.txt: .txt is no kind to write: end the name in .jsonl"),
        (["--device=nowhere"], r"device is nowhere, which torch does not have here \(.*\): name cpu, or cuda"),
        (["--device=meta"], r"device is meta, which torch does not have here \(a model there has no weights\)"),
        (["--videos=/nowhere"], "--videos: /nowhere does not exist"),
    ],
)
@UNKNOWN_WORDS
def test_refusals(videos: Path, whole: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    assert run(videos, whole, *more) == 1
    assert_says(capsys, said)


def assert_says(capsys: pytest.CaptureFixture[str], said: str) -> None:
    assert re.search(said, capsys.readouterr().err)


def test_files_of_others_are_refused(
    videos: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, beside = tmp_path / "captions.jsonl", tmp_path / "captions.made_of.json"
    output.write_bytes(whole.read_bytes())
    assert run(videos, output) == 1
    assert_says(capsys, "captions.jsonl is there, and captions.made_of.json is not, which says how it was made")
    made_of = json.loads((whole.parent / "captions.made_of.json").read_text())
    made_of["videos"]["late.mkv"] = "1 0"
    made_of["videos"]["old.mkv"] = "1 0"
    beside.write_text(json.dumps(made_of))
    assert run(videos, output) == 1
    assert_says(capsys, "was written of other videos: late.mkv is another file now")
    beside.write_text(json.dumps({**made_of, "videos": {"1\n2": "1 0"}}))
    assert run(videos, output) == 1
    assert_says(capsys, r"was written of other videos: 1\\x0a2 is gone: .*\n$")
    beside.write_text(json.dumps({**made_of, "options": {"1\n2": "3\n4"}}))
    assert run(videos, output) == 1
    assert_says(capsys, r"was written with 1\\x0a2 3\\x0a4, and this is None: .*\n$")
    beside.write_text(json.dumps({**made_of, "left_out": 3}))
    assert run(videos, output) == 1
    assert_says(capsys, r"captions.made_of.json is damaged \(left_out is 3\)")
    beside.write_text(json.dumps({**json.loads((whole.parent / beside.name).read_text()), "lines": 1}))
    output.write_text('{"video": "gone.mp4"}\n')
    assert run(videos, output) == 1
    assert_says(capsys, r"captions.jsonl:1 is damaged")


def test_videos_of_linked_folders_are_found_once(tmp_path: Path) -> None:
    for name in ("videos/a/1.mp4", "videos/.b/2.mp4", "elsewhere/c/3.MKV"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for link, target in {"a/up": "videos", "0": "videos/a", "linked": "elsewhere", "again": "elsewhere/c"}.items():
        (tmp_path / "videos" / link).symlink_to(tmp_path / target, target_is_directory=True)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "videos", target_is_directory=True)
    assert [*find_videos(tmp_path / "videos")] == ["a/1.mp4", "again/3.MKV"]


def test_no_video_is_refused_with_the_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.mp4").touch()
    assert run(tmp_path, tmp_path / "out" / "captions.jsonl") == 1
    assert_says(capsys, rf"{tmp_path} has no video \(.3gp, .avi, .*\): name another folder, or one file")
