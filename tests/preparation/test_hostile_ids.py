"""Ids in clips.parquet and manifest.json that no preparation writes: refused before a file is named by one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.recording import LONGEST_NAME, check_name, id_of, is_safe_name
from gaze_vlm.preparation.store import CLIP_SCHEMA, Store, read_clips, video_file, write_clips

IDS = {
    "parent": "../../etc/passwd",
    "dots": "..",
    "absolute": "/etc/passwd",
    "drive": "C:\\a",
    "separator": "a/b",
    "backslash": "a\\b",
    "nul": "a\x00b",
    "line": "a\nb",
    "long": "a" * (LONGEST_NAME + 1),
    "empty": "",
    "hidden": ".a",
    "option": "-a",
    "slash": "a∕b",  # DIVISION SLASH
    "lookalike": "Р01",  # a Cyrillic letter
    "digit": "P٠١",  # Arabic digits, which \d takes
    "fullwidth": "．．",
    "turned": "a\u202eb",
    "device": "CON",
    "device with a suffix": "nul.txt",
    "port": "com1",
    "point": "a.",
    "space": "a b",
    "stream": "a:b",
    "markup": "<b>",
}
hostile = pytest.mark.parametrize("name", IDS.values(), ids=IDS)


@hostile
@pytest.mark.parametrize("field", ["clip_id", "video_id", "session", "participant"])
def test_no_clip_may_have_it(copy: Path, field: str, name: str) -> None:
    if field == "clip_id" and len(name) > LONGEST_NAME:
        name += "a" * 20
    clips = read_clips(copy / "clips.parquet")
    write_clips(copy / "clips.parquet", [replace(clips[0], **{field: name}), *clips[1:]])
    for read in (read_clips, lambda file: Store(file.parent)):  # a comparison reads the table alone
        with pytest.raises(InputError, match=rf"clips\.parquet is missing or damaged \({field} is ") as caught:
            read(copy / "clips.parquet")
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)


@hostile
def test_no_video_and_nobody_may_have_it(copy: Path, name: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    entry = next(iter(manifest["videos"].values()))
    for videos in ({name: entry}, {"P01": {**entry, "participant": name}}):
        (copy / "manifest.json").write_text(json.dumps({**manifest, "videos": videos}))
        with pytest.raises(
            InputError, match=r"manifest\.json is damaged \((a video is called|participant of P01 is) '"
        ):
            Store(copy)


@hostile
def test_no_file_is_named_by_it(tmp_path: Path, name: str) -> None:
    assert not is_safe_name(name)
    with pytest.raises(InputError, match="cannot be a file name here"):
        video_file(tmp_path, name)
    with pytest.raises(InputError, match=r"^here: the name .* cannot be a file name here"):
        check_name(name, "here")


@pytest.mark.parametrize("name", ["CON", "Nul.mp4", "lpt9", "com1.a.b", "a."])
def test_a_file_that_windows_could_not_have_has_another_id(name: str) -> None:
    assert is_safe_name(id_of(name, "here"))
    assert id_of(name, "here") != name


def test_names_that_only_resemble_devices_stay() -> None:
    for name in ("console", "com10", "P01-R01-Pizza", "nul-1", "a.con", "x" * LONGEST_NAME):
        assert check_name(name, "here") == name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"session_start_s": float("inf")}, "session_start_s of .* is inf"),
        ({"future_starts_in_s": float("nan")}, "future_starts_in_s of .* is nan"),
        ({"last_frame": None}, "last_frame of .* is None"),
        ({"end_s": None}, "end_s of .* is None"),
        ({"activity_text": None}, "lacks a value"),
        ({"split": None}, "lacks a value"),
        ({"nouns": [None]}, "lacks a value"),
        ({"nouns": None}, "NoneType"),
        ({"session": None}, "session is None"),
    ],
)
def test_a_clip_without_a_value_or_with_one_that_is_not_finite(copy: Path, values: dict[str, Any], said: str) -> None:
    rows = pq.read_table(copy / "clips.parquet").to_pylist()
    write_rows(copy / "clips.parquet", [rows[0] | values, *rows[1:]])
    with pytest.raises(InputError, match=rf"clips\.parquet is missing or damaged \(.*{said}"):
        read_clips(copy / "clips.parquet")


def test_two_clips_of_one_name(copy: Path) -> None:
    rows = pq.read_table(copy / "clips.parquet").to_pylist()
    write_rows(copy / "clips.parquet", [*rows, rows[0]])
    with pytest.raises(InputError, match=rf"two clips are called '{rows[0]['clip_id']}'"):
        read_clips(copy / "clips.parquet")


def test_a_table_that_would_fill_memory(copy: Path) -> None:
    """A text of a megabyte that a hundred thousand rows have takes a kilobyte of file; a million rows take less."""
    (row, *_) = pq.read_table(copy / "clips.parquet").to_pylist()
    for rows, text, said in ((4000, "a" * 10**6, "texts of .* letters in"), (400_000, "a", "400000 rows in")):
        of_row = {name: pa.array([value], CLIP_SCHEMA.field(name).type) for name, value in row.items()}
        of_row["activity_text"] = pa.array([text], pa.string())
        indices = pa.array([0] * rows, pa.int32())
        columns = {
            name: pa.DictionaryArray.from_arrays(indices, values)
            if values.type == pa.string()
            else values.take(indices)
            for name, values in of_row.items()
        }
        schema = pa.schema([(name, column.type) for name, column in columns.items()])
        pq.write_table(pa.table(columns, schema), copy / "clips.parquet", compression="zstd", store_schema=False)
        with pytest.raises(InputError, match=rf"clips\.parquet is missing or damaged \({said}"):
            read_clips(copy / "clips.parquet")


def test_the_arrays_of_a_video_are_those_that_the_manifest_counts(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    name, entry = next(iter(manifest["videos"].items()))
    for change in ({"videos": {**manifest["videos"], name: {**entry, "frames": entry["frames"] + 1}}}, {"points": 1}):
        (copy / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(
            InputError, match=rf"{name}\.safetensors has 8 frames of \d points, and manifest\.json says"
        ):
            Store(copy).video(name)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows, CLIP_SCHEMA), path)
