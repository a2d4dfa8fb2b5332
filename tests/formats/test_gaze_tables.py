"""Files of gaze in the folders that recordings and exports have: their names, their format, and where they lie."""

from pathlib import Path

import pytest

from gaze_vlm.errors import InputError
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.gaze_tables import GazeFormat, gaze_format, recording_file
from gaze_vlm.look.gaze_points import gaze_at_frames

GLASSES_3 = '{"type":"gaze","timestamp":0.0,"data":{"gaze2d":[0.5,0.25]}}\n'
CORE = "gaze_timestamp,world_index,confidence,norm_pos_x,norm_pos_y\n7.5,0,0.9,0.5,0.75\n"
PUPIL = "timestamp [ns],gaze x [px],gaze y [px]\n1000,64,24\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def of_one_video(root: Path, name: str = "a") -> FolderReader:
    """A folder with a video, whose text is of its first second, and no gaze yet."""
    write(root / "videos" / f"{name}.mp4", "")
    write(root / "captions.csv", f"video_id,second,text\n{name},0,chops an onion\n")
    (root / "gaze").mkdir()
    return FolderReader(root)


def said_without_gaze(reader: FolderReader) -> str:
    (recording,) = reader.recordings()
    assert recording.gaze is None
    with pytest.raises(InputError) as refused:
        reader.read_gaze(recording)
    return str(refused.value)


@pytest.mark.parametrize("name", ["gazedata", "GAZEDATA", "Gazedata"])
def test_files_of_a_recording_may_be_named_in_any_case(tmp_path: Path, name: str) -> None:
    reader = of_one_video(tmp_path)
    write(tmp_path / "gaze" / "a" / name, GLASSES_3)
    (recording,) = reader.recordings()
    assert recording.gaze == tmp_path / "gaze" / "a" / name
    assert reader.read_gaze(recording).xy.tolist() == [[0.5, 0.25]]
    assert gaze_at_frames(tmp_path / "gaze" / "a", [0.0], (64, 48)).xy[0, 0].tolist() == [0.5, 0.25]


def test_the_name_as_it_is_comes_before_another_case(tmp_path: Path) -> None:
    if write(tmp_path / "GAZEDATA", GLASSES_3).samefile(write(tmp_path / "gazedata", GLASSES_3)):
        pytest.skip("this file system knows no case")
    assert recording_file(tmp_path) == tmp_path / "gazedata"


@pytest.mark.parametrize(
    ("files", "where"),
    [
        (["segments/1/livedata.json.gz"], "segments/1"),
        (["exports/000/gaze_positions.csv", "exports/001/gaze_positions.csv"], "exports/000, exports/001"),
        (["20261128T101500Z/gazedata.gz"], "20261128T101500Z"),
    ],
)
def test_gaze_that_lies_deeper_is_named(tmp_path: Path, files: list[str], where: str) -> None:
    reader = of_one_video(tmp_path, "P 1")
    folder = tmp_path / "gaze" / "P 1"
    for file in files:
        write(folder / file, "")
    expected = f"{folder} has gaze in {where}: give one such folder, or a link to it, instead"
    assert said_without_gaze(reader) == f"P 1 has no gaze: {expected}"
    with pytest.raises(InputError) as refused:
        gaze_at_frames(folder, [0.0], (64, 48))
    assert str(refused.value) == f"--gaze: {expected}"


@pytest.mark.parametrize("name", ["a", "a.v1"])
def test_a_link_to_nothing_is_named(tmp_path: Path, name: str) -> None:
    """As a link has it that was made with a path from another folder."""
    reader = of_one_video(tmp_path, name)
    (tmp_path / "gaze" / name).symlink_to("card/20261128T101500Z")
    said = said_without_gaze(reader)
    assert f"{name} is a link to card/20261128T101500Z, which does not exist: link to the whole path" in said


@pytest.mark.parametrize(
    ("file", "text", "found", "given"),
    [
        ("gaze.csv", PUPIL, "pupil", "tobii3"),
        ("gaze_positions.csv", CORE, "pupil_core", "tobii2"),
        ("gaze_positions.csv", CORE, "pupil_core", "generic"),
        ("gazedata", GLASSES_3, "tobii3", "tobii2"),
        ("gazedata.gz", "", "tobii3", "pupil_core"),
        ("livedata.json.gz", "", "tobii2", "generic"),
    ],
)
def test_a_file_of_another_format_than_the_one_asked_for(
    tmp_path: Path, file: str, text: str, found: GazeFormat, given: GazeFormat
) -> None:
    path = write(tmp_path / file, text)
    assert gaze_format(path) == gaze_format(path, found) == found
    with pytest.raises(InputError, match=f"{file} is in the format {found}, and gaze is '{given}': leave the option"):
        gaze_format(path, given)


def test_a_table_without_a_header_has_the_format_asked_for(tmp_path: Path) -> None:
    """And packets are known by the name of their file alone."""
    path = write(tmp_path / "a.csv", "0,0.5,0.25\n")
    assert gaze_format(path, "generic") == "generic"
    for given in (None, "tobii3"):
        with pytest.raises(InputError, match=r"a\.csv: a header of 0, 0\.5, 0\.25 is of no known format"):
            gaze_format(path, given)


def test_a_table_of_two_formats_has_the_one_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "t_s,frame_num,x,y\n0,0,0.5,0.25\n")
    assert gaze_format(path) == "generic"
    assert gaze_format(path, "egoexo4d") == "egoexo4d"


def test_two_exports_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    """A recording of an Invisible, from Pupil Cloud and from Pupil Player: of two clocks."""
    reader = of_one_video(tmp_path)
    for name, text in {
        "gaze.csv": PUPIL,
        "gaze_positions.csv": CORE,
        "world_timestamps.csv": "# timestamps [seconds],pts\n7.5,0\n",
    }.items():
        write(tmp_path / "gaze" / "a" / name, text)
    (recording,) = reader.recordings()
    said = r"world_timestamps\.csv has the column # timestamps \[seconds\] and is of another export than gaze\.csv"
    with pytest.raises(InputError, match=said):
        reader.read_gaze(recording)
