"""`gaze-vlm look` as a user runs it: a page, a figure, and one line where something is wrong."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from backbone_families import FAMILIES, make_backbone, make_clip
from egtea_files import TICKS_S, write_late
from gaze_vlm.cli import main
from gaze_vlm.inference.models import load_backbone
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.look import look as module
from gaze_vlm.look.figure import MapRow, draw_look
from gaze_vlm.look.frames import frames_of_images, frames_of_video
from gaze_vlm.look.gaze_points import gaze_at_frames, points_of
from gaze_vlm.look.look import look_at
from gaze_vlm.look.tokens import token_texts
from gaze_vlm.look.watching import SOURCES, ask, watch, watched_layers
from html_checks import Page, check_readable, check_whole, data_of

PROMPT = "what is the camera wearer doing ?"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two images."""
    folder = tmp_path_factory.mktemp("images")
    for number, frame in enumerate(make_clip(0, frames=2).frames):
        cv2.imwrite(str(folder / f"{number}.png"), frame.permute(1, 2, 0).numpy()[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def gaze(images: Path) -> Path:
    """Of the second image alone; one point is of another time, one is nowhere."""
    file = images / "gaze.csv"
    file.write_text("t_s,x,y\n0.5,0.1,0.1\n0.9,0.25,0.75\n0.95,,\n1.0,0.5,0.5\n")
    return file


def look(*args: str | Path) -> int:
    return main(["look", *map(str, args)])


@pytest.mark.filterwarnings("ignore:the answer .* has words that the model's tokenizer does not know")
def test_the_page_has_the_models_attention_and_gaze(tiny_llava: Path, images: Path, gaze: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    args = ("--model", tiny_llava, "--images", images, "--prompt", PROMPT, "--answer", "cut red <b>", "--gaze", gaze)
    assert look(*args, "--output", file) == 0
    page = file.read_text(encoding="utf-8")
    check_whole(page)
    check_readable(page)
    data = data_of(page)
    assert len(Page(page).all("i")) == 2  # points of the second image
    assert data["valid"] == [False, True]
    assert [one["title"] for one in data["sources"]] == ["Vision tower", "Language model"]

    backbone = load_backbone(tiny_llava)
    frames = torch.stack([torch.from_numpy(cv2.imread(str(images / f"{i}.png"))[..., ::-1].copy()) for i in (0, 1)])
    clip = make_clip(0, frames=2)
    clip.frames, clip.frame_times_s, clip.prompt = frames.permute(0, 3, 1, 2).contiguous(), [0.0, 1.0], PROMPT
    asked = ask(backbone, clip, "cut red <b>")
    assert data["tokens"] == token_texts(backbone.processor.tokenizer, asked.answer_ids.tolist())
    seen: dict[tuple[str, int], Any] = {}
    watched = {source: layers for source in SOURCES if (layers := watched_layers(backbone, source)) is not None}
    probabilities = watch(backbone, asked, watched, lambda source, number, one: seen.update({(source, number): one}))
    assert data["probabilities"] == pytest.approx(probabilities.tolist(), abs=1e-6)
    own, tokens = data["sources"][1], len(asked.answer_ids)
    layers, heads, kept = len(own["layers"]), own["heads"], len(own["kept"][0])
    shares = np.frombuffer(data["arrays"]["shares-1"], "<f4").reshape(tokens + 1, layers + 1, heads + 1, 2)
    levels = np.frombuffer(data["arrays"]["levels-1"], np.uint8).reshape(tokens + 1, own["slots"], 2, -1)
    highest = np.frombuffer(data["arrays"]["highest-1"], "<f4").reshape(tokens + 1, own["slots"], 2, 1)
    assert kept == heads
    for place, number in enumerate(own["layers"]):
        exact = seen["language", number]
        assert np.allclose(shares[1:, place + 1, 1:], exact.shares, atol=1e-6)
        slots = slice(place * (kept + 1) + 1, (place + 1) * (kept + 1))
        assert np.allclose((highest * (levels / 255.0) ** 2)[1:, slots], exact.maps, atol=4e-3)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_figure_has_what_is_chosen_on_one_scale(
    suffix: str, tiny_llava: Path, images: Path, gaze: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"figure{suffix}"
    chosen = ("--sources", "language", "--layers", "-1", "--heads", "0", "1", "0", "--tokens", "2", "2")
    drawn: list[list[MapRow]] = []
    monkeypatch.setattr(module, "draw_look", lambda clip, rows: (drawn.append(rows), draw_look(clip, rows))[1])
    args = ("--model", tiny_llava, "--images", images, "--prompt", PROMPT, "--answer", "cut red", "--gaze", gaze)
    assert look(*args, *chosen, "--figure", file) == 0
    assert [(row.head, row.token) for row in drawn[0]] == [(1, 2), (2, 2)]
    content = file.read_bytes()
    assert content.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


def figure_of(tiny_llava: Path, frames: int, tokens: list[int] | None) -> Any:
    from gaze_vlm.look.figure import draw_look, rows_of
    from gaze_vlm.look.frames import Frames

    backbone, clip = load_backbone(tiny_llava), make_clip(0, frames=frames)
    watched = {source: layers for source in SOURCES if (layers := watched_layers(backbone, source)) is not None}
    made = look_at(backbone, Frames(clip.frames, 0.0, clip.frame_times_s), PROMPT, "cut red", watched, 10**6)
    return draw_look(made, rows_of(made, None, None, tokens))


def test_rows_are_sources_and_tokens_and_of_one_frame_the_tokens_are_columns(tiny_llava: Path) -> None:
    *panels, bar = figure_of(tiny_llava, 2, [1, 3]).axes
    assert len(panels) == 6
    labels = [panel.get_ylabel().splitlines() for panel in panels[::2]]
    assert [label[0] for label in labels] == ["Vision tower", "Language model", "Language model"]
    assert [label[-1] for label in labels[1:]] == ["“cut”", "“</s>”"]
    assert [panel.get_title() for panel in panels[:2]] == ["0.40 s", "0.80 s"]
    assert "%" in panels[2].get_xlabel()
    assert bar.get_ylabel() == "attention of a patch, × uniform"


def test_a_pooling_block_leaves_the_language_model_shares_alone(tmp_path: Path) -> None:
    from gaze_vlm.backbones.loading import save_checkpoint
    from gaze_vlm.look.frames import Frames
    from gaze_vlm.look.page import render_look

    save_checkpoint(*FAMILIES[0].build(), tmp_path)
    backbone, clip = make_backbone(FAMILIES[0], tmp_path, "both").eval(), make_clip(0)
    watched = {source: layers for source in SOURCES if (layers := watched_layers(backbone, source)) is not None}
    made = look_at(backbone, Frames(clip.frames, 0.0, clip.frame_times_s), PROMPT, None, watched, 10**6)
    of = {maps.source: maps for maps in made.sources}
    assert of["language"].grid is None
    assert 0 < of["language"].shares[0, 0, 0].sum() < 1
    assert of["block"].maps(0, 1, 1).sum(1) == pytest.approx(np.ones(4), abs=0.02)
    check_whole(render_look(made, "again"))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "give --video, or --images"),
        (("--images", "{images}", "--output", "a.html", "--prompt", " "), "--prompt is empty: give a question"),
        (("--images", "{images}", "--output", "a.html", "--end_s", "2"), "--frame_hz are of a --video"),
        (("--images", "{images}", "--output", "a.html", "--tokens", "1"), "--tokens are those of a --figure: name one"),
        (("--video", "{images}", "--output", "a.html"), "images0 is a folder: name a file in it"),
        (
            ("--images", "{images}", "--output", "a.html", "--gaze", "/"),
            "--gaze: / is a folder without any of gaze.csv, ",
        ),
        (
            ("--images", "{images}/0.png", "--output", "a.html", "--gaze", "{images}/gaze.csv"),
            "gaze.csv has gaze from 0.50 s to 1.00 s, none of it within 200 ms before a frame, and frames are from "
            "0.00 s to 0.00 s: is it that video's, timed from its first frame?",
        ),
        (
            ("--images", "{images}/0.png", "--output", "a.html", "--sources", "vision", "--maps_mb", "1e-5"),
            "1 answer token × 2 layers × 1 frame of 16 patches, take 0.1 MB and have 0.0: raise maps_mb",
        ),
        (("--images", *["{images}"] * 201, "--figure", "a.png"), "would have 402 frames, more than 400 panels"),
        (("--images", "{images}"), "give --output for a page"),
        (("--images", "{images}", "--output", "a.txt"), "a.txt"),
        (("--images", "{images}", "--output", "a.html", "--layers", "0"), "layers and heads are those of one source"),
        (("--images", "{images}/none", "--output", "a.html"), "none does not exist"),
        (("--images", "{images}/gaze.csv", "--output", "a.html"), "cannot be read as an image"),
        (("--video", "{images}/none.mp4", "--output", "a.html"), "none.mp4 does not exist"),
        (("--images", "{images}", "--output", "a.html", "--gaze", "none.csv"), "none.csv does not exist"),
        (("--images", "{images}", "--output", "a.html", "--sources", "block"), "the model has no gaze block"),
        (("--images", "{images}", "--figure", "a.png", "--answer", "cut", "--tokens", "9"), "the answer has 2"),
        (
            ("--images", "{images}", "--output", "a.html", "--sources", "language", "--layers", "7"),
            "language layer 7: the model's layers to choose from are 0, 1",
        ),
    ],
)
@pytest.mark.usefixtures("gaze")
def test_what_is_wrong_is_one_line(
    args: tuple[str, ...],
    said: str,
    tiny_llava: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert look("--model", tiny_llava, "--prompt", PROMPT, *(one.format(images=images) for one in args)) != 0
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("gaze-vlm look: error: ")
    assert said in line
    assert not list(tmp_path.iterdir())


def test_words_that_the_tokenizer_does_not_know_are_warned_of(tiny_llava: Path, images: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"the answer 'cut brot' has words that .*; it reads <unk> in their place"):
        look(
            "--model", tiny_llava, "--prompt", PROMPT, "--images", images, "--answer", "cut brot",
            "--output", tmp_path / "a.html",
        )  # fmt: skip


def test_images_are_taken_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "._frame1.png").write_bytes(b"\0\5\x16\7")  # as a Mac writes it beside the other
    assert frames_of_images([tmp_path]).images[:, 0, 0, 0].tolist() == [1, 2, 10]


def test_images_of_two_sizes_are_refused(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((30, 40, 3), np.uint8))
    args = ("--images", images / "0.png", tmp_path / "small.png", "--output", tmp_path / "a.html")
    assert look("--model", "kitchen-llava", "--prompt", PROMPT, *args) == 1
    assert "differ in size, 40×30 and 80×60" in capsys.readouterr().err


def test_a_video_is_looked_at_up_to_a_time(tiny_llava: Path, raw_root: Path, tmp_path: Path) -> None:
    video, file = next((raw_root / "videos").glob("*.mp4")), tmp_path / "page.html"
    args = ("--video", video, "--observation_s", "1", "--end_s", "3", "--output", file)
    assert look("--model", tiny_llava, "--prompt", PROMPT, *args) == 0
    captions = [text for tag, text in Page(file.read_text(encoding="utf-8")).texts if tag == "b"][:2]
    assert captions == ["2.50 s", "3.00 s"]


def test_times_are_as_played_and_gaze_is_by_the_first_frame(
    tiny_llava: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_late(tmp_path / "late.mkv", [np.full((64, 64, 3), 8 * i, np.uint8) for i in range(30)], TICKS_S // 10)
    (tmp_path / "gaze.csv").write_text("t_s,x,y\n1.5,0.25,0.75\n")
    args = ("--model", tiny_llava, "--prompt", PROMPT, "--video", video, "--observation_s", "1")
    given = ("--end_s", "2", "--gaze", tmp_path / "gaze.csv", "--output", tmp_path / "page.html")
    assert look(*args, *given) == 0
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [text for tag, text in page.texts if tag == "b"][:2] == ["1.50 s", "2.00 s"]
    assert len(page.all("i")) == 1  # 1.5 s by the first frame, which players show at 0.5 s
    frames = frames_of_video(video, WindowTimes(1.0, 1.0, 2.0), 2.0)
    assert frames.video_times_s == [1.0, 1.5]
    assert frames.images.float().mean((1, 2, 3)).tolist() == pytest.approx([80, 120], abs=4)
    assert look(*args, "--end_s", "3.6", "--output", tmp_path / "none.html") == 1
    assert "late.mkv has frames from 0.50 s to 3.44 s: no span of 1 s ends at 3.6 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recording/gazedata", '{"type":"gaze","timestamp":0.5,"data":{"gaze2d":[0.25,0.75]}}\n'),
        ("export/gaze_positions.csv", "gaze_timestamp,confidence,norm_pos_x,norm_pos_y\n7.5,1,0.25,0.25\n"),
        ("export/gaze.csv", "timestamp [ns],gaze x [px],gaze y [px]\n7500000000,16,36\n"),
        ("gaze.tsv", "t_s\tx\ty\n0.5\t0.25\t0.75\n"),
    ],
)
def test_gaze_of_any_tracker_beside_a_video(tmp_path: Path, name: str, text: str) -> None:
    """A file, or the folder of a recording; places in pixels are of the video's frame, here 64 × 48."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    world = "# timestamps [seconds]\n7.0\n" if "positions" in name else "timestamp [ns]\n7000000000\n"
    (file.parent / "world_timestamps.csv").write_text(world)
    for path in {file, file if file.parent == tmp_path else file.parent}:
        made = gaze_at_frames(path, [0.4, 0.6], (64, 48))
        assert points_of(made, 0) == []
        assert points_of(made, 1) == [(0.25, 0.75)]
        assert made.aspect == pytest.approx(4 / 3)


def test_tokens_are_texts_that_differ() -> None:
    class Tokenizer:
        """Bytes, the last one special."""

        all_special_ids = (0,)
        pieces = (b"</s>", b" caf", b"\xc3", b"\xa9", b"")

        def decode(self, ids: list[int], **_: object) -> str:
            return b"".join(self.pieces[id_] for id_ in ids).decode(errors="replace")

        def convert_ids_to_tokens(self, id_: int) -> str:
            return f"<{id_}>"

    assert token_texts(Tokenizer(), [1, 2, 3, 4, 0]) == [" caf", "<2>", "é", "<4>", "<0>"]
