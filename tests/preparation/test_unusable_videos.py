"""Videos and gaze that cannot be used are listed with the reason, and too many of them stop the preparation."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gaze_vlm.formats import video
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import check_quarantine, prepare
from gaze_vlm.preparation.store import Store
from gaze_vlm.report.quality import report_quality


def test_bad_videos_are_quarantined(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    (root / "videos" / "P01-R01-Pizza.mp4").write_bytes(b"")
    (root / "gaze_data" / "P02-R01-Pizza.txt").unlink()
    parameters = replace(parameters, max_quarantined=0.5, split_fractions=(1, 0, 0))
    store = prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    rows = [json.loads(line) for line in (store / "quarantine.jsonl").read_text().splitlines()]
    assert [row["video_id"] for row in rows] == ["P01-R01-Pizza", "P02-R01-Pizza"]
    assert "P01-R01-Pizza.mp4: cannot be decoded" in rows[0]["reason"]
    assert "P02-R01-Pizza.txt is missing" in rows[1]["reason"]
    prepared = Store(store)
    assert sorted(prepared.manifest.videos) == ["P01-R02-Salad", "P02-R02-Salad"]
    assert {clip.video_id for clip in prepared.clips} == {"P01-R02-Salad", "P02-R02-Salad"}


def test_a_video_whose_decoder_hangs_is_quarantined(
    root: Path, parameters: PreparationParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some frames: what counts is the time without one."""
    decoded = video.decoded

    def hangs(container: Any, stream: Any, path: Path) -> Iterator[Any]:
        for position, frame in enumerate(decoded(container, stream, path)):
            if path.stem == "P01-R01-Pizza" and position == 30:
                threading.Event().wait()
            yield frame

    monkeypatch.setattr(video, "decoded", hangs)
    parameters = replace(parameters, max_quarantined=0.5, split_fractions=(1, 0, 0))
    store = prepare("egtea", root, tmp_path / "store", parameters, workers=1, decode_timeout_s=2)
    (row,) = [json.loads(line) for line in (store / "quarantine.jsonl").read_text().splitlines()]
    assert row["video_id"] == "P01-R01-Pizza"
    assert "P01-R01-Pizza.mp4: its decoder gave nothing for 2 s" in row["reason"]


def test_what_lacks_a_part_is_listed(
    root: Path, parameters: PreparationParameters, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Labels and gaze without a video, and a video without labels."""
    (root / "videos" / "P01-R01-Pizza.mp4").unlink()
    labels = root / "action_annotation" / "raw_annotations" / "action_labels.csv"
    labels.write_text("\n".join(line for line in labels.read_text().splitlines() if "P02-R01-Pizza" not in line))
    parameters = replace(parameters, split_fractions=(1, 0, 0))
    prepare("egtea", root, tmp_path / "store", parameters, dry_run=True)
    assert "no video: p01-r01-pizza\nno labels: P02-R01-Pizza\n" in capsys.readouterr().out
    store = prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    left_out = json.loads((store / "quality.json").read_text())["left_out"]
    assert left_out == {"no video": ["p01-r01-pizza"], "no labels": ["P02-R01-Pizza"]}
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"{store}: 3 videos, ")
    assert said.endswith("; 1 with no video, 1 with no labels")
    page = report_quality(store, videos=1, frames=1).read_text()
    assert "<summary>1 with no video</summary><p>p01-r01-pizza</p>" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"observation_s": 9}, "no clips at all; the videos are shorter than a clip; 0 videos are quarantined"),
        ({"anticipation_s": 9}, "no clips at all; dropped were 20: 20 the anticipation time is after the end"),
        (
            {"max_quarantined": 0.5},
            r"no clips in train \(of 4\); dropped were 6: 4 the antici.*; 2 videos are quarantined",
        ),
    ],
)
def test_a_store_without_clips_is_an_error(
    root: Path, parameters: PreparationParameters, tmp_path: Path, changed: dict[str, float], said: str
) -> None:
    if "max_quarantined" in changed:
        for name in ("P01-R01-Pizza", "P02-R01-Pizza"):
            (root / "videos" / f"{name}.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=rf"store: {said}.*quality.json and quarantine.jsonl there have the details"):
        prepare("egtea", root, tmp_path / "store", replace(parameters, **changed), workers=1)
    assert (tmp_path / "store" / "quality.json").is_file()
    assert not (tmp_path / "store" / "manifest.json").exists()


def test_too_many_bad_videos_fail(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    (root / "gaze_data" / "P02-R01-Pizza.txt").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 videos cannot be used, more than max_quarantined = 0.1.*P02-R01"):
        prepare("egtea", root, tmp_path / "store", parameters, workers=1)
    assert (tmp_path / "store" / "quarantine.jsonl").read_text().count("\n") == 1
    assert not (tmp_path / "store" / "manifest.json").exists()


def test_a_reason_of_many_videos_is_said_once(tmp_path: Path) -> None:
    bad = {f"v{k}": f"/data/v{k}.csv, line {k}: x is 'a', not a number" for k in range(4)}
    with pytest.raises(ValueError, match="5 of 5 videos cannot be used") as error:
        check_quarantine(tmp_path, bad | {"w": "/data/w.mp4 is missing"}, 5, 0)
    assert str(error.value).endswith(
        "allows (quarantine.jsonl names each): v0: /data/v0.csv, line 0: x is 'a', not a number (and so "
        "for 3 others: v1, v2, v3); w: /data/w.mp4 is missing"
    )


def test_odd_videos_have_a_reason(root: Path, parameters: PreparationParameters, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cut, noisy, empty, flipped = sorted((root / "videos").iterdir())
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    content = bytearray(noisy.read_bytes())
    third, half = len(content) // 3, len(content) // 2
    noisy.write_bytes(content[:third] + rng.bytes(half - third) + content[half:])
    with av.open(str(empty), "w") as container:
        container.add_stream("libx264", rate=24)
        container.start_encoding()
    content = bytearray(flipped.read_bytes())
    content[third : third + 500] = bytes(255 - byte for byte in content[third : third + 500])
    flipped.write_bytes(content)
    with pytest.raises(ValueError, match="4 of 4 videos cannot be used") as error:
        prepare("egtea", root, tmp_path / "store", replace(parameters, max_quarantined=0.9), workers=2)
    rows = [json.loads(line) for line in (tmp_path / "store" / "quarantine.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    for row, path in zip(rows, (cut, noisy, empty, flipped), strict=True):
        assert row["reason"].startswith(str(path))
        assert row["reason"] in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\x00" * 500, b"Time\tType\n1\tSMP\n"])
def test_bad_gaze_has_a_reason(root: Path, parameters: PreparationParameters, tmp_path: Path, content: bytes) -> None:
    (root / "gaze_data" / "P02-R01-Pizza.txt").write_bytes(content)
    store = prepare("egtea", root, tmp_path / "store", replace(parameters, max_quarantined=0.5), workers=1)
    assert "P02-R01-Pizza.txt" in json.loads((store / "quarantine.jsonl").read_text())["reason"]
