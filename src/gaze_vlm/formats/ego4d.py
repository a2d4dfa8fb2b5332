"""Ego4D's videos with gaze, as its download tool lays them out."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, get_args

from gaze_vlm.errors import InputError
from gaze_vlm.formats.captions import read_captions
from gaze_vlm.formats.ego4d_gaze import read_ego4d_gaze
from gaze_vlm.formats.ego4d_metadata import DOUBTFUL, Ego4dVideo, de_facto_split, read_metadata
from gaze_vlm.formats.egtea import read_index
from gaze_vlm.formats.glc import read_frame_labels, read_untracked_spans
from gaze_vlm.formats.narrations import NarrationPass, Others, narrated_actions, read_narrations
from gaze_vlm.formats.recording import Action, Recording, files_in, group_by_missing, videos_by_name, videos_in
from gaze_vlm.formats.vocabulary import vocabulary
from gaze_vlm.gaze.samples import GazeSamples

VideoFolder = Literal["full_scale", "video_540ss"]
GazeFileKind = Literal["csv", "glc"]
TextSource = Literal["narrations", "captions"]
SplitSource = Literal["de_facto", "none"]
DoubtfulGaze = Literal["drop", "keep"]
CHOICES = {
    "gaze": get_args(GazeFileKind),
    "text": get_args(TextSource),
    "others": get_args(Others),
    "narration_pass": get_args(NarrationPass),
    "split": get_args(SplitSource),
    "doubtful": get_args(DoubtfulGaze),
}
BURNED_IN = "full_scale.gaze"
LABEL_SUFFIX = "_frame_label"
NARRATIONS = ("narration.json", "all_narrations_redacted.json")
UNTRACKED = "ego4d_gaze_untracked.csv"


@dataclass(frozen=True)
class Ego4dReader:
    """Reader of Ego4D as its download tool lays it out.

    It reads `<root>/ego4d.json` and `<root>/v2/{full_scale,video_540ss,gaze,annotations}`. `ego4d.json` may lie in
    `v2`, and `root` may be the folder `v2` itself. Only videos with a file of gaze and a video are read. Ego4D does not
    tell who wears the camera, so each video is its own participant.

    Args:
        root: folder that the download tool wrote to.
        videos: folder of the videos; None takes `full_scale` if it is there, else `video_540ss`.
        gaze: `csv` for the data set's own `gaze/<uid>.csv`, `glc` for `gaze_frame_label/<uid>_frame_label.csv`. Spans
            in `ego4d_gaze_untracked.csv`, where there is one, are untracked in both.
        text: what becomes actions: `narrations` of `annotations/`, or the captions in `captions`.
        captions: CSV of `video_id,second,text`, or folder of `<uid>/image_descriptions.txt`.
        caption_chunk_s: seconds that a line "Skipping chunk N due to error" stands for.
        others: `drop` or `keep` narrations of what other people do.
        narration_pass: `first` or `second` (the other one where it is missing), or `both`.
        longest_action_s: a narration is valid until the next one, at most so long.
        split: `de_facto` fills `Recording.split` with train or test, `none` leaves it empty.
        doubtful: `drop` or `keep` (for training) the four videos whose gaze is of doubtful quality.
        verb_index: file of verb labels, "<name> <id>" a line with ids from 1, to label texts with: the first that
            the text names, in any inflection ("picks up" for "pick up"); see `formats/vocabulary.py`. None leaves texts
            without verb labels.
        noun_index: file of noun labels, of the same form.

    Raises:
        InputError: an option is none of its choices, a part of the data set is missing, or the videos have the
            gaze drawn into their pixels.
    """

    dataset: ClassVar[str] = "ego4d"

    root: Path
    _: KW_ONLY
    videos: VideoFolder | None = None
    gaze: GazeFileKind = "csv"
    text: TextSource = "narrations"
    captions: Path | None = None
    caption_chunk_s: int = 1
    others: Others = "drop"
    narration_pass: NarrationPass = "first"
    longest_action_s: float = 10.0
    split: SplitSource = "de_facto"
    doubtful: DoubtfulGaze = "drop"
    verb_index: Path | None = None
    noun_index: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        for name in ("captions", "verb_index", "noun_index"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(choices)}")
        for name in ("longest_action_s", "caption_chunk_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected a number above 0")
        if (self.text == "captions") != (self.captions is not None):
            raise InputError(
                f"text is {self.text!r} and captions is {self.captions}: set captions to a path if text is captions, "
                "and only then"
            )
        self._metadata()
        self._video_folder()
        self._gaze_folder()
        self._text_file()
        for name in ("verb_index", "noun_index"):
            if getattr(self, name) is not None and not getattr(self, name).is_file():
                raise InputError(f"{name}: {getattr(self, name)} is missing: set it to a file of labels, or to null")

    @property
    def verbs(self) -> tuple[str, ...]:
        """Verb labels of `verb_index`, none without it."""
        return () if self.verb_index is None else read_index(self.verb_index)

    @property
    def nouns(self) -> tuple[str, ...]:
        """Noun labels of `noun_index`, none without it."""
        return () if self.noun_index is None else read_index(self.noun_index)

    def recordings(self) -> list[Recording]:
        """Return all videos that have gaze and a video file, sorted by uid.

        Raises:
            InputError: there are no videos, or metadata or texts are damaged.
        """
        videos, gaze, metadata = self._videos(), self._gaze_files(), read_metadata(self._metadata())
        uids = [uid for uid in gaze if uid in videos]
        if not uids:
            raise InputError(
                f"{self._video_folder()} holds no <uid>.mp4 of the {len(gaze)} videos with gaze: download them there"
            )
        actions = self._actions(uids)
        return [
            Recording(
                video_id=uid,
                video=videos[uid],
                gaze=gaze[uid],
                participant=uid,
                gaze_width_px=video.width_px,
                gaze_height_px=video.height_px,
                actions=actions.get(uid, ()),
                redacted_s=video.redacted_s,
                split=de_facto_split(uid) if self.split == "de_facto" else None,
            )
            for uid in uids
            for video in [metadata.get(uid, Ego4dVideo(uid, 0.0))]
        ]

    def left_out(self) -> dict[str, list[str]]:
        """Return the videos that are not read, by the reason.

        They lack the gaze or the video, or their gaze is doubtful and is dropped.
        """
        videos, gaze = set(self._videos()), set(self._gaze_files())
        doubtful = sorted(videos & DOUBTFUL) if self.doubtful == "drop" else []
        left_out = group_by_missing((videos | gaze) - set(doubtful), {"video": videos, "gaze": gaze})
        return left_out | ({"doubtful gaze": doubtful} if doubtful else {})

    def read_gaze(self, recording: Recording) -> GazeSamples:
        """Read the gaze of one video; untracked where the video is redacted.

        Raises:
            InputError: the gaze file is missing or malformed.
        """
        if recording.gaze is None:
            raise InputError(f"{recording.video_id} has no gaze file in {self._gaze_folder()}: download the gaze again")
        gaze = read_ego4d_gaze(recording.gaze) if self.gaze == "csv" else read_frame_labels(recording.gaze)
        listed = next((path for path in self._candidates(UNTRACKED) if path.is_file()), None)
        lost = read_untracked_spans(listed).get(recording.video_id, ()) if listed is not None else ()
        return gaze.untracked_in([*recording.redacted_s, *lost])

    def _videos(self) -> dict[str, Path]:
        """Videos by their uid."""
        return videos_by_name(videos_in(self._video_folder()), lambda video: video.stem)

    def _actions(self, uids: list[str]) -> dict[str, tuple[Action, ...]]:
        path = self._text_file()
        if self.text == "captions":
            said = read_captions(path, uids, self.caption_chunk_s)
        else:
            narrations = read_narrations(path, uids, self.narration_pass)
            said = {uid: narrated_actions(narrations[uid], self.others, self.longest_action_s) for uid in uids}
        labels = vocabulary(self.verbs, self.nouns)
        return {
            uid: tuple(
                replace(action, verb=labels.verb(action.text), noun=labels.noun(action.text)) for action in actions
            )
            for uid, actions in said.items()
        }

    def _gaze_files(self) -> dict[str, Path]:
        """Files of gaze by the uid of their video, sorted; doubtful ones only where they are kept."""
        folder = self._gaze_folder()
        # Gaze was once shipped as <uid>.mp4; of two files of one video the later wins, the .csv.
        files = [*_files(folder, ".mp4"), *_files(folder, ".csv")] if self.gaze == "csv" else _files(folder, ".csv")
        suffix = LABEL_SUFFIX if self.gaze == "glc" else ""
        by_uid = {path.stem.removesuffix(suffix): path for path in files if path.stem.endswith(suffix)}
        if not by_uid:
            raise InputError(f"{folder} holds no <uid>{suffix}.csv: download the gaze there")
        return {uid: by_uid[uid] for uid in sorted(by_uid) if self.doubtful == "keep" or uid not in DOUBTFUL}

    def _candidates(self, name: str) -> list[Path]:
        """Where a part may lie: in `v2`, or in the root."""
        return [self.root / "v2" / name, self.root / name]

    def _part(self, names: tuple[str, ...], fix: str) -> Path:
        """The first of the names that is there."""
        found = next((path for name in names for path in self._candidates(name) if path.exists()), None)
        if found is None:
            missing = " or ".join(str(self._candidates(name)[0]) for name in names)
            raise InputError(f"{missing} is missing: is {self.root} the root of Ego4D? If so, {fix}")
        return found

    def _metadata(self) -> Path:
        return self._part(("ego4d.json",), "download its metadata")

    def _video_folder(self) -> Path:
        names = get_args(VideoFolder) if self.videos is None else (self.videos,)
        there = [path for name in names for path in self._candidates(name) if path.is_dir()]
        burned_in = [path for path in self._candidates(BURNED_IN) if path.is_dir()]
        if BURNED_IN in names or (not there and burned_in) or (there and BURNED_IN in there[0].resolve().parts):
            raise InputError(
                f"{(there or burned_in or [self.root])[0]}: the videos of {BURNED_IN} have the gaze drawn into their "
                "pixels, which a model would read off; download full_scale or video_540ss"
            )
        if not set(names) <= set(get_args(VideoFolder)):
            raise InputError(f"videos is {self.videos!r}; expected one of {', '.join(get_args(VideoFolder))}")
        return self._part(names, "download the videos with gaze")

    def _gaze_folder(self) -> Path:
        return self._part(("gaze" if self.gaze == "csv" else "gaze_frame_label",), "put the files of gaze there")

    def _text_file(self) -> Path:
        if self.captions is not None:
            return self.captions
        names = tuple(f"annotations/{name}" for name in NARRATIONS)
        return self._part(names, "download the annotations, or set text: captions")


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    """Files with this suffix; the download tool's manifest and hidden files are none of them."""
    return (path for path in files_in(folder, f"*{suffix}") if path.stem != "manifest")
