"""What the clips of a test share with those of a training: seconds, sessions, people and target texts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from gaze_vlm.command_line.composition import read_yaml
from gaze_vlm.comparison.choice import store_of
from gaze_vlm.comparison.runs import Run
from gaze_vlm.errors import InputError
from gaze_vlm.formats.words import normalise
from gaze_vlm.preparation.files import StoreFiles
from gaze_vlm.preparation.records import ClipRecord
from gaze_vlm.preparation.splits import shared_seconds
from gaze_vlm.preparation.store import read_clips, read_manifest
from gaze_vlm.runs.prediction import TASKS


@dataclass(frozen=True)
class Overlap:
    """What a test shares with a training.

    `unit` is what may be shared: sessions of one store, videos of two. `people` are the test's camera wearers who are
    in the training too, of `of_people`; None of two stores, whose names of people are not one, and where each video
    is its own participant, since nobody said who they are. `texts` is the share of target texts that are targets of
    training too, `pairs` that of labelled pairs of verb and noun; None where there is none.
    """

    unit: str
    shared: int
    seconds: float
    people: int | None
    of_people: int
    texts: float | None
    pairs: float | None
    is_official: bool

    def __str__(self) -> str:
        people = "people unknown" if self.people is None else f"{self.people} of {self.of_people} people of the test"
        texts = "" if self.texts is None else f"; {100 * self.texts:.1f} % of its target texts"
        pairs = "" if self.pairs is None else f"; {100 * self.pairs:.1f} % of its (verb, noun) pairs"
        return f"{self.shared} {self.unit}, {self.seconds:.0f} s; {people}{texts}{pairs}"


@lru_cache(maxsize=32)
def overlap(train: Path, test: Path, test_split: str = "test") -> Overlap:
    """Compare the test clips of a store with the train clips of a store, mostly the same.

    In one store a session is known by its name. In two, a video is known by its file: two data sets may use one name.

    Raises:
        InputError: a store is missing or damaged.
    """
    same = train.resolve() == test.resolve()
    trained = [clip for clip in read_clips(StoreFiles(train).clips) if clip.split == "train"]
    tested = [clip for clip in read_clips(StoreFiles(test).clips) if clip.split == test_split]
    people, of_people = ({clip.participant for clip in clips} for clips in (trained, tested))
    are_known = same and any(clip.participant != clip.video_id for clip in trained + tested)
    known_texts = {normalise(clip.text(task)) for clip in trained for task in TASKS}
    known_pairs = {pair for clip in trained for pair in _pairs(clip)}
    texts = [normalise(clip.text(task)) in known_texts for clip in tested for task in TASKS]
    pairs = [pair in known_pairs for clip in tested for pair in _pairs(clip)]
    if not same:
        trained, tested = _by_file(trained, train), _by_file(tested, test)
    clips = [*(replace(clip, split="train") for clip in trained), *(replace(clip, split="test") for clip in tested)]
    shared = shared_seconds(clips)
    return Overlap(
        unit="sessions" if same else "videos",
        shared=len(shared),
        seconds=sum(shared.values()),
        people=len(people & of_people) if are_known else None,
        of_people=len(of_people),
        texts=sum(texts) / len(texts) if texts else None,
        pairs=sum(pairs) / len(pairs) if pairs else None,
        is_official=same and read_manifest(train).parameters.get("split_by") == "official",
    )


def contamination(train: Path, tests: Mapping[str, Path], test_split: str) -> Iterator[tuple[str, bool]]:
    """Say where a test shares sessions, videos or seconds with a training.

    That is fatal but for an official split.

    Args:
        train: store to train on.
        tests: name → store of other tests.
        test_split: what is tested of `train`; of the others it is `test`.
    """
    for name, store, split in (("", train, test_split), *((name, store, "test") for name, store in tests.items())):
        found = overlap(train, store, split)
        if not found.shared:
            continue
        what = f"the test {f'on {name} ' if name else ''}shares {found.shared} {found.unit}, {found.seconds:.0f} s"
        if found.is_official:
            yield f"{what} with the training, as the official split of {train} has it: it rewards remembering", False
        else:
            fix = f"take {name} out of also_test" if name else "prepare it again, split by session or participant"
            yield f"{what} with the training on {train}: {fix}", True


def overlaps(runs: Mapping[tuple[str, str], Run], also_test: Mapping[str, Path]) -> dict[tuple[str, str], Overlap]:
    """Return the overlap of each (tested, trained on) whose stores are there.

    Args:
        runs: a run of each data set that was trained on, by (data set, data set).
        also_test: other tests, given as `store_of` takes them.
    """
    made = {}
    for (dataset, _), run in runs.items():
        data = read_yaml(run.directory.config).get("data")
        data = data if isinstance(data, dict) else {}
        named, split = data.get("store"), data.get("test_split") or "test"
        if not named:
            continue
        if not isinstance(named, str) or not isinstance(split, str):
            raise InputError(f"{run.directory.config}: data.store or data.test_split is no text: train the run again")
        train = Path(named)
        tests = {dataset: train, **{name: store_of(path) for name, path in also_test.items() if name != dataset}}
        for name, store in tests.items():
            try:
                there = all(StoreFiles(one).clips.is_file() for one in (train, store))
            except OSError as error:  # such as a name that is too long
                raise InputError(f"{run.directory.config}: data.store is no path ({error.strerror})") from error
            if there:
                made[name, dataset] = overlap(train, store, split if name == dataset else "test")
    return made


def _by_file(clips: list[ClipRecord], store: Path) -> list[ClipRecord]:
    """The clips with the file of their video as session; a store of before files were known has none to compare."""
    videos = read_manifest(store).videos
    known = {name: f"{video.file_bytes} {video.file_ends}" for name, video in videos.items() if video.file_ends}
    return [
        replace(clip, session=known[clip.video_id], session_start_s=0.0) for clip in clips if clip.video_id in known
    ]


def _pairs(clip: ClipRecord) -> list[tuple[str, str]]:
    both = ((clip.activity_verb, clip.activity_noun), (clip.future_verb, clip.future_noun))
    return [(verb, noun) for verb, noun in both if verb is not None and noun is not None]
