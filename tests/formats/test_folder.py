"""A folder of one's own: which files belong together, and which format they are in."""

import pickle
import re
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest

from egtea_files import texture, write_video
from gaze_vlm.errors import InputError
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.recording import SAFE_NAME, id_of
from gaze_vlm.gaze.samples import GazeEvent

GENERIC = "t_s,x,y\n0,0.5,0.25\n"
PUPIL = "timestamp [ns],gaze x [px],gaze y [px]\n1000,64,24\n"
WORLD = "timestamp [ns]\n1000\n"
CORE = "gaze_timestamp,world_index,confidence,norm_pos_x,norm_pos_y\n7.5,0,0.9,0.5,0.75\n"
GLASSES_2 = '{"ts":500,"s":0,"vts":0}\n{"ts":500,"s":0,"gidx":1,"gp":[0.5,0.25]}\n'
GLASSES_3 = '{"type":"gaze","timestamp":0.0,"data":{"gaze2d":[0.5,0.25]}}\n'
TAKE = "frame_num,tracking_timestamp_us,x,y\n0,1,704,352\n"


def make_root(root: Path, *videos: str) -> Path:
    """A folder with empty videos, and captions of the first second of each."""
    for name in videos:
        (root / "videos").mkdir(parents=True, exist_ok=True)
        (root / "videos" / name).touch()
    (root / "gaze").mkdir()
    rows = [f"{Path(name).stem},0,chops an onion\n" for name in videos]
    (root / "captions.csv").write_text("".join(["video_id,second,text\n", *rows]))
    return root


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_videos_gaze_and_texts(tmp_path: Path) -> None:
    root = make_root(tmp_path, "b.mkv", "a.MP4", "c.webm")
    (root / "videos" / "notes.txt").touch()
    write(root / "gaze" / "a.csv", GENERIC)
    write(root / "gaze" / "b.txt", GENERIC)
    reader = FolderReader(root)
    recordings = reader.recordings()
    assert [recording.video_id for recording in recordings] == ["a", "b", "c"]
    assert [recording.participant for recording in recordings] == ["a", "b", "c"]
    assert [recording.gaze and recording.gaze.name for recording in recordings] == ["a.csv", "b.txt", None]
    (action,) = recordings[0].actions
    assert (action.start_s, action.end_s, action.text, action.verb) == (0, 1, "chops an onion", None)
    assert (reader.verbs, reader.nouns) == ((), ())
    with pytest.raises(ValueError, match=r"has no gaze of c: put there c.csv, or a folder c with gaze.csv or"):
        reader.read_gaze(recordings[2])
    assert pickle.loads(pickle.dumps(reader)).recordings() == recordings


@pytest.mark.parametrize(
    ("file", "text", "y"),
    [
        ("a.csv", GENERIC, 0.25),
        ("a/gaze.csv", PUPIL, 0.25),
        ("a/personalized_eye_gaze_2d.csv", TAKE, 0.25),
        ("a/general_eye_gaze_2d.csv", TAKE, 0.25),
        ("a.csv", TAKE, 0.25),
        ("a/gaze_positions.csv", CORE, 0.25),
        ("a/livedata.json", GLASSES_2, 0.25),
        ("a/gazedata", GLASSES_3, 0.25),
    ],
)
def test_the_name_or_the_header_tells_the_format(tmp_path: Path, file: str, text: str, y: float) -> None:
    root = make_root(tmp_path, "a.mp4")
    write_video(root / "videos" / "a.mp4", [texture(0)[:96, :128]] * 2, frame_hz=30)
    write(root / "gaze" / file, text)
    for table, world in (("gaze.csv", WORLD), ("gaze_positions.csv", "# timestamps [seconds],pts\n7.5,0\n")):
        if file == f"a/{table}":
            write(root / "gaze" / "a" / "world_timestamps.csv", world)
    reader = FolderReader(root)
    (recording,) = reader.recordings()
    assert (recording.gaze_width_px, recording.gaze_height_px) == (128, 96)
    gaze = reader.read_gaze(recording)
    np.testing.assert_allclose(gaze.xy, [[0.5, y]])
    assert (gaze.t_s.tolist(), gaze.event.tolist()) == ([0], [GazeEvent.UNKNOWN])


def test_links_to_recordings_as_the_glasses_leave_them(tmp_path: Path) -> None:
    """The video and the folder of gaze are links to the recording; what else it holds is not read."""
    root, recording = make_root(tmp_path / "own", "spare.mp4"), tmp_path / "card" / "20261128T101500Z"
    (root / "videos" / "spare.mp4").unlink()
    write(recording / "gazedata", GLASSES_3)
    write(recording / "imudata.gz", "damaged")
    write(recording / "recording.g3", "{}")
    write_video(recording / "scenevideo.mp4", [texture(0)[:96, :128]] * 2, frame_hz=25)
    (root / "videos" / f"{recording.name}.mp4").symlink_to(recording / "scenevideo.mp4")
    (root / "gaze" / recording.name).symlink_to(recording)
    write(root / "captions.csv", f"video_id,second,text\n{recording.name},0,chops an onion\n")
    reader = FolderReader(root)
    (found,) = reader.recordings()
    assert (found.video_id, found.gaze_width_px) == (recording.name, 128)
    np.testing.assert_allclose(reader.read_gaze(found).xy, [[0.5, 0.25]])
    assert reader.left_out() == {}


def test_calibrated_gaze_comes_first(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4")
    for name in ("general", "personalized"):
        write(root / "gaze" / "a" / f"{name}_eye_gaze_2d.csv", TAKE)
    (recording,) = FolderReader(root).recordings()
    assert recording.gaze is not None
    assert recording.gaze.name == "personalized_eye_gaze_2d.csv"


def test_exports_are_compared_with_their_videos(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4", "b.mp4")
    for name in "ab":
        write_video(root / "videos" / f"{name}.mp4", [texture(0)[:96, :128]] * 48)  # 2 s
    write(root / "gaze" / "a" / "gaze.csv", PUPIL)
    write(root / "gaze" / "a" / "world_timestamps.csv", WORLD + "".join(f"{1000 + k * 10**8}\n" for k in range(1, 48)))
    write(root / "gaze" / "b.csv", TAKE)
    reader = FolderReader(root)
    first, second = reader.recordings()
    with pytest.raises(InputError, match=r"world_timestamps\.csv has 48 frames over 4.8 s, and the video 48 .* 2.0 s"):
        reader.read_gaze(first)
    with pytest.warns(UserWarning, match=r"b\.csv: frame_num counts frames at 30 fps, and the video has 24 fps"):
        reader.read_gaze(second)


def test_frame_size_of_gaze_in_pixels(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4")
    write_video(root / "videos" / "a.mp4", [texture(0)[:48, :64]] * 2)  # half the camera's size
    write(root / "gaze" / "a" / "gaze.csv", PUPIL)
    write(root / "gaze" / "a" / "world_timestamps.csv", WORLD)
    reader = FolderReader(root, frame_width_px=128, frame_height_px=96)
    np.testing.assert_allclose(reader.read_gaze(reader.recordings()[0]).xy, [[0.5, 0.25]])


def test_options_of_the_formats(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4")
    write(root / "gaze" / "a.csv", "t_s,x,y,confidence\n0,0.5,0.25,0.4\n")
    (recording,) = FolderReader(root).recordings()
    assert FolderReader(root).read_gaze(recording).event.tolist() == [GazeEvent.UNTRACKED]
    assert FolderReader(root, min_confidence=0.3).read_gaze(recording).event.tolist() == [GazeEvent.UNKNOWN]
    write(root / "gaze" / "a" / "gaze_positions.csv", CORE.replace("0.9", "0.4"))
    write(root / "gaze" / "a" / "world_timestamps.csv", "# timestamps [seconds],pts\n7.5,0\n")
    (root / "gaze" / "a.csv").rename(tmp_path / "a.csv")
    (exported,) = FolderReader(root).recordings()
    assert FolderReader(root).read_gaze(exported).event.tolist() == [GazeEvent.UNTRACKED]
    assert FolderReader(root, min_confidence=0.3).read_gaze(exported).event.tolist() == [GazeEvent.UNKNOWN]
    (tmp_path / "a.csv").rename(root / "gaze" / "a.csv")
    with pytest.raises(ValueError, match=r"a.csv is in the format generic, and gaze is 'egoexo4d': leave the option"):
        FolderReader(root, gaze="egoexo4d").read_gaze(recording)


def test_participants_and_labelled_spans(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4", "b.mp4")
    write(root / "participants.csv", "video_id,participant\na,Ada\n")
    write(
        root / "captions.csv",
        "video_id,start_s,end_s,text,verb,noun\na,2,3,cuts it,cut,onion\na,0,2,takes it,take,onion\nb,0,1,waits,,\n",
    )
    reader = FolderReader(root)
    first, second = reader.recordings()
    assert (first.participant, second.participant) == ("Ada", "b")
    assert [action.text for action in first.actions] == ["takes it", "cuts it"]
    assert (reader.verbs, reader.nouns) == (("cut", "take"), ("onion",))


def test_participants_under_other_names_are_refused(tmp_path: Path) -> None:
    """Else videos of one person would be in several splits."""
    root = make_root(tmp_path, "a.mp4", "b.mp4")
    write(root / "participants.csv", "video_id,participant\na,Ada\nb.mp4,Ada\n")
    with pytest.raises(
        ValueError, match=r"participants.csv has rows of b.mp4, of which there is no video, and none of b"
    ):
        FolderReader(root).recordings()


def test_a_video_of_two_participants_is_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4", "b.mp4")
    write(root / "participants.csv", "video_id,Participant\na,Ada\nb,Ada\na,Bo\n")
    with pytest.raises(ValueError, match=r"participants.csv, lines 2 and 4: a is of two participants; delete one row"):
        FolderReader(root).recordings()
    write(root / "participants.csv", "video_id,participant\na,Ada\nb,Bo\na,Ada\n")
    assert [recording.participant for recording in FolderReader(root).recordings()] == ["Ada", "Bo"]


@pytest.mark.parametrize(
    "names",
    [
        ("Ada", "ada"),
        ("A L", "A  L"),
        ("A L", "AL"),
        ("1", "01"),
        ("P 7", "p07"),
        ("A\xa0L", "A L"),
        ("ﬁ", "fi"),
    ],
)
def test_two_spellings_of_one_participant_are_warned_of(tmp_path: Path, names: tuple[str, str]) -> None:
    """Else one person is in several splits without a word."""
    root = make_root(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    write(root / "participants.csv", f"video_id,participant\na,{names[0]}\nb,{names[1]}\nc,Bo\n")
    said = re.escape(f"participants.csv: participants {names[0]!r} and {names[1]!r} differ in case, spaces")
    with pytest.warns(UserWarning, match=said):
        assert len({recording.participant for recording in FolderReader(root).recordings()}) == 3


def test_one_spelling_is_no_other(tmp_path: Path) -> None:
    root = make_root(tmp_path, *(f"{name}.mp4" for name in "abcdef"))
    people = ("Zoë", normalize("NFD", "Zoë"), " Zoë ", "Zoe", "10", "1")
    rows = "".join(f"{video},{name}\n" for video, name in zip("abcdef", people, strict=True))
    write(root / "participants.csv", f"video_id,participant\n{rows}")
    assert len({recording.participant for recording in FolderReader(root).recordings()}) == 4


@pytest.mark.parametrize("confidence", [float("nan"), 90.0, -1.0])
def test_a_confidence_out_of_range_is_refused(tmp_path: Path, confidence: float) -> None:
    with pytest.raises(ValueError, match="min_confidence is"):
        FolderReader(make_root(tmp_path, "a.mp4"), min_confidence=confidence)


def test_texts_under_other_names_are_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path, *(f"{name}.mp4" for name in "abcd"))
    rows = "".join(f"{name}.mp4,0,x\n" for name in "abcd")
    write(root / "captions.csv", f"video_id,second,text\n{rows}")
    said = r"captions.csv has rows of a.mp4, b.mp4, c.mp4, …, of which .* none of a, b, c, …: correct the names, which"
    with pytest.raises(ValueError, match=said):
        FolderReader(root).recordings()


def test_gaze_under_another_name_is_named(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4", "a1.mp4", "b.mp4")
    for name in ("A_gaze.csv", "a1.csv", "b.xlsx"):
        (root / "gaze" / name).touch()
    reader = FolderReader(root)
    first, _, last = reader.recordings()
    with pytest.raises(ValueError, match=r"has no gaze of a: put there a.csv, .*; A_gaze.csv is there: is it a table"):
        reader.read_gaze(first)
    with pytest.raises(ValueError, match=r"has no gaze of b: .*; b.xlsx is there: .* renamed or converted"):
        reader.read_gaze(last)


@pytest.mark.parametrize("columns", ["video_id,second,text\nz,0,x\na,0,x\n", "video_id,start_s,end_s,text\nz,0,1,x\n"])
def test_what_has_no_video_is_left_out(tmp_path: Path, columns: str) -> None:
    root = make_root(tmp_path, "a.mp4")
    write(root / "captions.csv", columns)
    write(root / "gaze" / "y.csv", GENERIC)
    write(root / "gaze" / "x" / "gaze.csv", PUPIL)
    assert FolderReader(root).left_out() == {
        "no video and no gaze": ["z"],
        "no video and no labels": ["x", "y"],
    }


def test_two_files_of_one_video(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4")
    write(root / "gaze" / "a.csv", GENERIC)
    write(root / "gaze" / "a" / "gaze.csv", PUPIL)
    with pytest.raises(ValueError, match=r"a has gaze in .*gaze.csv and .*a.csv: keep one"):
        FolderReader(root).recordings()
    (root / "videos" / "a.mkv").touch()
    with pytest.raises(ValueError, match=r"a.mkv and .*a.mp4 have one name"):
        FolderReader(root).recordings()


@pytest.mark.parametrize("missing", ["videos", "gaze", "captions.csv"])
def test_incomplete_folder(tmp_path: Path, missing: str) -> None:
    root = make_root(tmp_path, "a.mp4")
    (root / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"{missing} is missing: .*docs/importers.md"):
        FolderReader(root)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gaze": "tobii"}, "gaze is 'tobii'; expected one of generic, pupil, pupil_core, egoexo4d, tobii2, tobii3"),
        ({"frame_width_px": 1600}, "set both frame_width_px and frame_height_px"),
        ({"frame_width_px": 0, "frame_height_px": 2}, "frame_width_px is 0"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FolderReader(make_root(tmp_path, "a.mp4"), **options)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4")
    (root / "gaze" / "a.csv").touch()
    reader = FolderReader(root)
    (recording,) = reader.recordings()  # an empty video and an empty table are the preparation's to report
    with pytest.raises(ValueError, match=r"a.csv is empty"):
        reader.read_gaze(recording)
    write(root / "gaze" / "a.csv", "time,gx,gy\n0,0,0\n")
    with pytest.raises(ValueError, match=r"a header of time, gx, gy is of no known format \(generic: t_s, x, y; pupil"):
        reader.read_gaze(recording)
    write(root / "gaze" / "a.csv", ",".join(["gap [ns]"] * 9999) + "\n")
    with pytest.raises(ValueError, match=r"a header of gap \[ns\], .* … is of no known format") as refused:
        reader.read_gaze(recording)
    assert len(str(refused.value)) < 2000
    write(root / "captions.csv", "a,0,chops\n")
    with pytest.raises(ValueError, match=r"captions.csv: no column video_id in its first line"):
        reader.recordings()
    (root / "videos" / "a.mp4").unlink()
    with pytest.raises(ValueError, match=r"videos holds no video \(.mp4, .mov, .mkv, .webm, .avi\): put the videos"):
        reader.recordings()
    (root / "videos" / "P1").mkdir()
    (root / "videos" / "a.m4v").touch()
    with pytest.raises(ValueError, match=r"holds no video .*, but P1/, a.m4v: put the videos there, in no subfolder"):
        reader.recordings()


def test_names_with_spaces_and_letters_of_any_script(tmp_path: Path) -> None:
    """An id is made of a name, safe for file names; files and tables have the names, in either Unicode form."""
    names = ["küche 1", "台所", "Кухня (2)", "kuche-1", "a b"]
    root = make_root(tmp_path, *(f"{normalize('NFD', name)}.mov" for name in names), "._a b.mov")
    for name in names:
        write(root / "gaze" / f"{name}.csv", GENERIC)
    rows = "".join(f"{name};0;chops;{normalize('NFD', name)}\n" for name in names)
    write(root / "captions.csv", f"video_id;second;text;spare\n{rows}nowhere é;0;x;\n")
    write(root / "participants.csv", "video_id\tparticipant\n台所\tAda Müller\nküche 1\tAda Müller\n")
    reader = FolderReader(root)
    recordings = {recording.video.stem: recording for recording in reader.recordings()}
    assert set(recordings) == {normalize("NFD", name) for name in names}
    ids = {name: recordings[normalize("NFD", name)].video_id for name in names}
    assert len(set(ids.values())) == len(names)
    assert all(SAFE_NAME.fullmatch(video_id) for video_id in ids.values())
    assert ids["kuche-1"] == "kuche-1"
    assert ids["küche 1"].startswith("kuche-1-")
    assert all(recording.gaze is not None and len(recording.actions) == 1 for recording in recordings.values())
    people = {name: recordings[normalize("NFD", name)].participant for name in names}
    assert people["台所"] == people["küche 1"] == id_of("Ada Müller", "")
    assert people["a b"] == ids["a b"]
    assert reader.left_out() == {"no video and no gaze": ["nowhere é"]}


def test_names_of_one_id_are_refused(tmp_path: Path) -> None:
    root = make_root(tmp_path, "é.mp4", f"{normalize('NFD', 'é')}.mp4")
    with pytest.raises(ValueError, match=r"é\.mp4 have one name \(id e-[0-9a-f]{8}\): rename or remove one"):
        FolderReader(root).recordings()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_with_other_separators(tmp_path: Path, separator: str) -> None:
    root = make_root(tmp_path, "a.mp4")
    for path, rows in {
        root / "gaze" / "a.tsv": [["t_s", "x", "y", "event"], ["0", "0.5", "0.25", "blink"]],
        root / "captions.csv": [["video_id", "start_s", "end_s", "text"], ["a", "0", "1", '"takes, cuts; eats\tit"']],
        root / "participants.csv": [["video_id", "participant"], ["a", "Ada"]],
    }.items():
        write(path, "".join(separator.join(row) + "\r\n" for row in rows))
    reader = FolderReader(root)
    (recording,) = reader.recordings()
    assert recording.participant == "Ada"
    assert [action.text for action in recording.actions] == ["takes, cuts; eats it"]
    assert reader.read_gaze(recording).event.tolist() == [GazeEvent.BLINK]


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    root = make_root(tmp_path, "a.mp4")
    (root / "gaze" / "a.txt").write_bytes("t_s\tx\ty\r\n0\t0.5\t0.25\r\n".encode("utf-16"))
    (root / "captions.csv").write_bytes("sep=;\r\nvideo_id;second;text\r\na;0;schält Äpfel\r\n".encode("utf-8-sig"))
    reader = FolderReader(root)
    (recording,) = reader.recordings()
    assert recording.actions[0].text == "schält Äpfel"
    np.testing.assert_allclose(reader.read_gaze(recording).xy, [[0.5, 0.25]])
    write(root / "gaze" / "a.txt", "t_s;x;y\n0;0,5;0,25\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 2: x is '0,5', not a number; write decimals with a point"):
        reader.read_gaze(recording)
