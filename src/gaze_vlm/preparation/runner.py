"""From a raw data set to a store."""

import inspect
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from gaze_vlm.cores import cores
from gaze_vlm.errors import InputError, OutputError, first_of
from gaze_vlm.foreign_text import visible
from gaze_vlm.formats.ego4d import Ego4dReader
from gaze_vlm.formats.egtea import EgteaReader
from gaze_vlm.formats.folder import FolderReader
from gaze_vlm.formats.recording import Reader, Recording, group_by_missing
from gaze_vlm.output import write_atomically
from gaze_vlm.preparation.cluster import run_on_ray
from gaze_vlm.preparation.cost import estimate_cost
from gaze_vlm.preparation.engine import run_in_process, run_local
from gaze_vlm.preparation.files import StoreFiles, exclusive_store
from gaze_vlm.preparation.index import write_index
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.prepare_recording import PrepareRecording
from gaze_vlm.preparation.quality_report import summary
from gaze_vlm.preparation.scorable_labels import with_labels
from gaze_vlm.preparation.splits import check_distinct, with_splits
from gaze_vlm.preparation.time_warnings import warn_of_times
from gaze_vlm.progress import work_progress
from gaze_vlm.ranges import above_zero, at_least

READERS: dict[str, Callable[..., Reader]] = {"egtea": EgteaReader, "ego4d": Ego4dReader, "folder": FolderReader}
Engine = Literal["local", "ray"]
VARYING = re.compile(r"\S*/\S*|\d[\d.,]*")  # paths and numbers, in a reason
MANY_ALIKE = 4


def prepare(
    dataset: Literal["egtea", "ego4d", "folder"],
    root: Path,
    store: Path,
    parameters: PreparationParameters = PreparationParameters(),  # noqa: B008, frozen
    workers: int | None = None,
    reader: dict[str, Any] | None = None,
    dry_run: bool = False,
    engine: Engine = "local",
    address: str | None = None,
    decode_timeout_s: float | None = 60.0,
) -> Path:
    """Prepare a data set: sample frames, carry the gaze to them, index the clips.

    Videos that are already prepared with the same parameters are skipped, so an interrupted preparation resumes. The
    result depends neither on the number of workers nor on the engine. Videos that cannot be used are listed with the
    reason in quarantine.jsonl, what lacks a video, gaze or labels in quality.json.

    Args:
        dataset: Format of the raw data.
        root: Folder of the raw data.
        store: Folder to write; made if missing.
        parameters: What to prepare.
        workers: Number of processes; by default one a core, or as many as the cluster has room for.
        reader: Options of the data set's reader.
        dry_run: Only report how much time and space it would take.
        engine: Work in processes of this machine, or as tasks of a Ray cluster.
        address: The Ray cluster's address; by default one of this machine alone is started.
        decode_timeout_s: Seconds that a decoder may take for a frame; a video where one takes longer cannot be used.
            None waits for ever.

    Returns:
        The store's folder.

    Raises:
        InputError: the raw data are incomplete, two videos are one file, or more videos are unusable than
            `parameters.max_quarantined` allows.
        OutputError: the store cannot be written; the same command resumes.
    """
    root, store = Path(root), Path(store)
    at_least(1, workers=workers)
    above_zero(decode_timeout_s=decode_timeout_s)
    files = open_reader(dataset, root, reader or {})
    labelled, removed_labels = with_labels(files.recordings(), files.verbs, files.nouns)
    recordings = with_splits(labelled, parameters)
    check_distinct(recordings, decode_timeout_s)
    left_out = without_clips(files, recordings)
    job = PrepareRecording(files, store, parameters, decode_timeout_s)
    if dry_run:
        print(visible(estimate_cost(job, recordings).text(workers or cores())))
        for reason, names in left_out.items():
            print(visible(f"{reason}: {', '.join(names)}"))
        return store
    with exclusive_store(store):
        StoreFiles(store).manifest.unlink(missing_ok=True)  # until the end this is no store to train from
        bad = without_files(files, recordings)
        check_quarantine(store, bad, len(recordings), parameters.max_quarantined)
        whole = [recording for recording in recordings if recording.video_id not in bad]
        bad |= run(job, whole, engine, workers, address)
        check_quarantine(store, bad, len(recordings), parameters.max_quarantined)
        good = [recording for recording in recordings if recording.video_id not in bad]
        report = write_index(files, root, store, good, parameters, reader or {}, len(bad), left_out, removed_labels)
    warn_of_times(report, good)
    print(f"{store}: {summary(report)}")
    return store


def open_reader(dataset: str, root: Path, options: Mapping[str, Any]) -> Reader:
    """Open the data set's reader.

    Raises:
        InputError: the data set is unknown, or its reader lacks an option.
    """
    if dataset not in READERS:
        raise InputError(f"data set {dataset!r} is unknown; use one of {', '.join(READERS)}")
    legal = [name for name in inspect.signature(READERS[dataset]).parameters if name != "root"]
    unknown = sorted(set(options) - set(legal))
    if unknown:
        raise InputError(
            f"the reader of {dataset} has no option {', '.join(unknown)}; it has {', '.join(legal) or 'none'}"
        )
    hints = get_type_hints(inspect.unwrap(getattr(READERS[dataset], "__init__")))  # noqa: B009
    for name, value in options.items():
        kinds = set(get_args(hints[name])) | {hints[name]}
        if kinds & {int, float} and not isinstance(value, int | float | None):
            raise InputError(f"the reader's {name} is {value!r}; expected a number")
        if Path in kinds and not isinstance(value, str | Path | None):
            raise InputError(f"the reader's {name} is {value!r}; expected a path")
    return READERS[dataset](root, **options)


def without_clips(reader: Reader, recordings: Sequence[Recording]) -> dict[str, list[str]]:
    """Return the names that can have no clip, by the part that they lack."""
    labels = {recording.video_id for recording in recordings if recording.actions}
    left_out = reader.left_out()
    for reason, names in group_by_missing([recording.video_id for recording in recordings], {"labels": labels}).items():
        left_out[reason] = sorted([*left_out.get(reason, []), *names])
    return left_out


def without_files(reader: Reader, recordings: Sequence[Recording]) -> dict[str, str]:
    """Return the videos that lack a raw file, with the reasons."""
    bad = {}
    for recording in recordings:
        if not recording.video.is_file():
            bad[recording.video_id] = f"{recording.video} is missing: copy the video again"
        elif recording.gaze is None or not recording.gaze.is_file():
            try:
                reader.read_gaze(recording)  # knows where the file should be
            except (ValueError, OSError) as error:
                bad[recording.video_id] = str(error)
    return bad


def run(
    job: PrepareRecording,
    recordings: Sequence[Recording],
    engine: Engine,
    workers: int | None,
    address: str | None,
) -> dict[str, str]:
    """Prepare the videos; return the reasons of those that cannot be used.

    Raises:
        OutputError: the store cannot be written.
    """
    bad: dict[str, str] = {}
    warned: list[tuple[str, str]] = []
    with work_progress("preparing videos", len(recordings)) as progress:
        count = min(workers or cores(), len(recordings))
        if engine == "ray":
            outcomes = run_on_ray(job, recordings, workers, address)
        elif count <= 1:
            outcomes = run_in_process(job, recordings, progress.part)
        else:
            outcomes = run_local(job, recordings, count, progress.part)
        with closing(outcomes):
            for outcome in outcomes:
                progress.advance()
                if outcome.stop:
                    raise OutputError(outcome.reason)
                if outcome.reason is not None:
                    bad[outcome.video_id] = outcome.reason
                warned += [(outcome.video_id, text) for text in outcome.warnings]
    for text in _told_once(sorted(warned)):
        warnings.warn(text, stacklevel=1)
    return bad


def check_quarantine(store: Path, bad: Mapping[str, str], total: int, limit: float) -> None:
    """Write quarantine.jsonl.

    Raises:
        InputError: more videos than the share `limit` are in it.
    """
    rows = sorted(bad.items())
    lines = [json.dumps({"video_id": video_id, "reason": reason}) + "\n" for video_id, reason in rows]
    write_atomically(StoreFiles(store).quarantine, "".join(lines).encode())
    if len(bad) > limit * total:
        raise InputError(
            f"{len(bad)} of {total} videos cannot be used, more than max_quarantined = {limit:g} allows "
            f"(quarantine.jsonl names each): {'; '.join(_told_once(rows))}"
        )


def _told_once(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Each video with its text; of many whose texts differ in paths and numbers alone, the first one's."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for video_id, reason in rows:
        named = re.compile(rf"(?<!\w){re.escape(video_id)}(?!\w)")
        alike.setdefault(VARYING.sub("", named.sub("", reason)), []).append((video_id, reason))
    said = []
    for group in alike.values():
        shown = group if len(group) < MANY_ALIKE else group[:1]
        said += [f"{video_id}: {reason}" for video_id, reason in shown]
        if others := [video_id for video_id, _ in group[len(shown) :]]:
            said[-1] += f" (and so for {len(others)} others: {first_of(others)})"
    return said
