"""Where a store's files are; writing there is for one preparation at a time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gaze_vlm.output import check_output_folder, remove_drafts, used_alone, writing
from gaze_vlm.time_limit import hangs, within

END_BYTES = 2**16


class StoreFiles:
    """Where the files of a store are, beside its videos."""

    def __init__(self, store: Path) -> None:
        self.manifest = store / "manifest.json"  # written last: a store with one is complete
        self.clips = store / "clips.parquet"
        self.quality = store / "quality.json"
        self.quarantine = store / "quarantine.jsonl"  # a line for each video that cannot be used, with the reason
        self.of_training = (self.manifest, self.clips)  # all that a training depends on, beside its videos


def fingerprint(path: Path, timeout_s: float | None = None) -> tuple[int, str]:
    """Return a file's size in bytes and a digest of its first and last 64 KiB.

    They show when another video is in its place. They hold the header or index, with the size and the time of every
    frame, and the first or last frames. Nothing is decoded, and two short reads suffice for a video of any length.

    Raises:
        TimeLimitError: it takes longer than `timeout_s` seconds; None waits for ever.
    """
    return within(timeout_s, hangs(path, timeout_s), partial(_fingerprint, path))


def _fingerprint(path: Path) -> tuple[int, str]:
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(END_BYTES))
        file.seek(max(0, size - END_BYTES))
        digest.update(file.read(END_BYTES))
    return size, digest.hexdigest()[:16]


@contextmanager
def exclusive_store(store: Path) -> Iterator[None]:
    """Hold the store for this process.

    The system releases it when the process ends, however it ends. Half-written files are removed: those of killed
    preparations, and those of this one's workers if they are stopped.

    Raises:
        InputError: another preparation is writing it.
        OutputError: the folder cannot be made.
    """
    check_output_folder(store)
    with writing(store):
        store.mkdir(parents=True, exist_ok=True)
    with used_alone(store, "prepared"):
        remove_drafts(store)
        try:
            yield
        finally:
            remove_drafts(store)
