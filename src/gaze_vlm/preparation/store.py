"""The prepared data set on disk: one file a video, one table of clips, one manifest.

Files are written beside their place and moved there, so a killed preparation leaves no half file.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.formats.recording import check_name
from gaze_vlm.json_files import damage_refused, from_json, member, parse_json, read_json, write_json
from gaze_vlm.output import write_atomically
from gaze_vlm.preparation.files import StoreFiles, fingerprint
from gaze_vlm.preparation.records import ClipRecord, Manifest, VideoEntry
from gaze_vlm.preparation.store_checks import check_arrays, check_clip_values, check_clips, check_fits, check_manifest
from gaze_vlm.preparation.video_gaze import ARRAYS, POINTS, VideoCounts, VideoGaze

SCHEMA_VERSION = 4  # of the manifest and the table of clips
VIDEO_VERSION = 3  # of the videos' files, which a change of the tables alone need not make again
AGAIN = "run `gaze-vlm prepare` again"
MOST_EXPANSION = 1000  # letters of all rows over the bytes of the table; real ones have some tens
METADATA_KEY = "gaze_vlm"  # one key only: safetensors writes several in no fixed order
ARROW_TYPES = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
    str | None: pa.string(),
    tuple[str, ...]: pa.list_(pa.string()),
}
COLUMN_NAMES = {field.name: field.name for field in fields(ClipRecord)} | {"same_action": "same_step"}
"""The column of each field of a `ClipRecord`."""
CLIP_SCHEMA = pa.schema([(COLUMN_NAMES[field.name], ARROW_TYPES[field.type]) for field in fields(ClipRecord)])  # type: ignore[index]


class Store:
    """Reads a prepared data set.

    Args:
        path: folder that `gaze-vlm prepare` wrote.
        cached_videos: how many videos' arrays stay in memory.

    Raises:
        InputError: it is no finished store, or of another schema version, or the manifest lacks labels of its
            clips.
    """

    def __init__(self, path: Path, cached_videos: int = 16) -> None:
        self.path = Path(path)
        self.cached_videos = cached_videos
        self.manifest = read_manifest(self.path)
        self.clips = read_clips(StoreFiles(self.path).clips)
        check_clips(self.clips, self.manifest, str(self.path))
        self._cache: OrderedDict[str, VideoGaze] = OrderedDict()

    def video(self, video_id: str) -> VideoGaze:
        """Read the arrays of one video, padded to the store's number of points.

        Raises:
            InputError: the store has no such video, or its file is damaged or of another preparation.
        """
        if video_id not in self._cache:
            self._entry(video_id)  # before a file is named by it
            path = video_file(self.path, video_id)
            gaze, made_from = read_video_gaze(path)
            check_fits(gaze, made_from, self.manifest, video_id, path)
            self._cache[video_id] = gaze.padded(self.manifest.points)
            if len(self._cache) > self.cached_videos:
                self._cache.popitem(last=False)
        self._cache.move_to_end(video_id)
        return self._cache[video_id]

    def video_path(self, video_id: str, root: Path | None = None) -> Path:
        """Return the video to decode frames from.

        It is the store's copy if it was re-encoded, else the raw file, below `root` if the raw data have moved since
        the preparation.

        Raises:
            InputError: the store has no such video, or its path leads out of the root.
            MissingFileError: it is not there.
        """
        path = self._video_path(video_id, root)
        if path.is_file():
            return path
        if self._entry(video_id).reencoded:
            raise MissingFileError(f"{path} is missing: run `gaze-vlm prepare` again, or copy the whole store")
        raise MissingFileError(
            f"{path} is missing: if the raw data have moved, run the same `gaze-vlm prepare` with --root NEW and "
            f"--store {self.path}, which keeps what is prepared; if not, copy the video there again"
        )

    def check_videos(self, video_ids: Iterable[str]) -> None:
        """Check that videos are there, and are those that were prepared.

        Their sizes, and their first and last bytes, are compared.

        Raises:
            MissingFileError: one is not there.
            InputError: another is in its place.
        """
        for video_id in sorted(set(video_ids)):
            entry, path = self._entry(video_id), self.video_path(video_id)
            if not entry.file_ends:  # an older store lacks them
                continue
            size, ends = fingerprint(path)
            if size != entry.file_bytes:
                differs = f"it has {size} bytes, and had {entry.file_bytes} when it was prepared"
            elif ends != entry.file_ends:
                differs = "its first or last frames differ from those that were prepared"
            else:
                continue
            raise InputError(
                f"{path} is another video: {differs}. Copy the right one there, or run `gaze-vlm prepare` again"
            )

    def _video_path(self, video_id: str, root: Path | None) -> Path:
        entry = self._entry(video_id)
        if entry.reencoded:
            return reencoded_file(self.path, video_id)
        relative = PurePosixPath(entry.path)
        if relative.is_absolute() or ".." in relative.parts:
            raise InputError(f"{StoreFiles(self.path).manifest}: path {str(relative)!r} leads out of the raw root")
        return Path(root or self.manifest.root) / relative

    def _entry(self, video_id: str) -> VideoEntry:
        if video_id not in self.manifest.videos:
            raise InputError(f"{self.path}: no video {video_id!r}; see quarantine.jsonl there, or prepare it again")
        return self.manifest.videos[video_id]


def video_file(store: Path, video_id: str) -> Path:
    """Return where a video's arrays are."""
    return store / "videos" / f"{check_name(video_id, str(store))}.safetensors"


def reencoded_file(store: Path, video_id: str) -> Path:
    """Return where a video's re-encoded copy is, if there is one."""
    return store / "video" / f"{check_name(video_id, str(store))}.mp4"


def write_video_gaze(path: Path, gaze: VideoGaze, digest: str) -> None:
    """Write a video's arrays; `digest` marks what they were made from."""
    metadata = {"schema_version": VIDEO_VERSION, "digest": digest, **asdict(gaze.counts)}
    arrays = {name: getattr(gaze, name) for name in ARRAYS}
    write_atomically(path, save(arrays, {METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def read_video_gaze(path: Path) -> tuple[VideoGaze, str]:
    """Read a video's arrays, and the digest of what they were made from.

    Raises:
        InputError: the file is missing, damaged or of another schema version.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = parse_json((file.metadata() or {}).get(METADATA_KEY, "{}"), path, AGAIN)
            _check_version(metadata.get("schema_version"), VIDEO_VERSION, path)
            arrays = {name: file.get_tensor(name) for name in ARRAYS}
        known = {field.name for field in fields(VideoCounts)} & set(metadata)
        counts = from_json(VideoCounts, {name: metadata[name] for name in known})
        check_arrays(arrays)
        gaze, digest = VideoGaze(**arrays, counts=counts), str(metadata["digest"])
    except OSError as error:
        raise InputError(f"{path} is missing or unreadable; run `gaze-vlm prepare` again") from error
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it and run `gaze-vlm prepare` again") from error
    if (invalid := gaze.invalid_points()).any():
        frame, point = np.argwhere(invalid)[0].tolist()
        values = {name: getattr(gaze, name)[frame, point].tolist() for name in POINTS}
        raise InputError(
            f"{path} is damaged: {np.sum(invalid)} points that count have values which are not finite or out of "
            f"range, the first in sampled frame {frame} ({values}); delete it and run `gaze-vlm prepare` again"
        )
    return gaze, digest


def write_manifest(store: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, last of all, so that a store with one is complete."""
    write_json(StoreFiles(store).manifest, asdict(manifest), sort_keys=True)


def read_manifest(store: Path) -> Manifest:
    """Read `manifest.json`.

    Raises:
        InputError: the file is missing, not JSON, incomplete, or of another schema version.
    """
    path = StoreFiles(store).manifest
    if not path.is_file():
        raise InputError(f"{path} is missing: {store} is not a finished store; run `gaze-vlm prepare`")
    values = read_json(path, AGAIN)
    with damage_refused(path, AGAIN):
        _check_version(values.get("schema_version"), SCHEMA_VERSION, path)
        videos = {video_id: from_json(VideoEntry, entry) for video_id, entry in values["videos"].items()}
        manifest = from_json(Manifest, values | {"videos": videos})
        check_manifest(manifest)
        return manifest


def clip_times(manifest: Manifest, store: Path) -> dict[str, float]:
    """Return `observation_s`, `stride_s` and `frame_hz` of a store's clips.

    Raises:
        InputError: the manifest does not say.
    """
    with damage_refused(StoreFiles(store).manifest, AGAIN):
        names = ("observation_s", "stride_s", "frame_hz")
        return {name: float(member(manifest.parameters, name, float)) for name in names}


def write_clips(path: Path, clips: Sequence[ClipRecord]) -> None:
    """Write the table of clips."""
    sink = pa.BufferOutputStream()
    columns = {column: [getattr(clip, field) for clip in clips] for field, column in COLUMN_NAMES.items()}
    pq.write_table(pa.table(columns, schema=CLIP_SCHEMA), sink)
    write_atomically(path, sink.getvalue().to_pybytes())


def read_clips(path: Path) -> list[ClipRecord]:
    """Read the table of clips.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        rows = ({field: row[column] for field, column in COLUMN_NAMES.items()} for row in _table(path).to_pylist())
        clips = [ClipRecord(**row | {"nouns": tuple(row["nouns"])}) for row in rows]
        check_clip_values(clips)
        return clips
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is missing or damaged ({reason}); run `gaze-vlm prepare` again") from error


def _table(path: Path) -> pa.Table:
    """The table of clips, once it is known that it takes memory in proportion to its file."""
    size = path.stat().st_size
    with pq.ParquetFile(path) as file:
        if not file.schema_arrow.equals(CLIP_SCHEMA):
            raise TypeError("its columns are others than those of a table of clips")
        if file.metadata.num_rows > size:  # each has an id of its own
            raise TypeError(f"{file.metadata.num_rows} rows in {size} bytes")
    texts = [column.path for column in map(file.schema.column, range(len(file.schema.names))) if _is_text(column)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:  # a text that many rows have is there once
        table = file.read()
    if (letters := sum(map(_letters, table.columns))) > MOST_EXPANSION * size:
        raise TypeError(f"texts of {letters} letters in {size} bytes")
    return table.cast(CLIP_SCHEMA)


def _is_text(column: pq.ColumnSchema) -> bool:
    return column.physical_type == "BYTE_ARRAY"


def _letters(column: pa.ChunkedArray) -> int:
    """Bytes of a column's texts in all rows, without writing them out."""
    total = 0
    for chunk in column.chunks:
        values = chunk.flatten() if pa.types.is_list(chunk.type) else chunk
        if pa.types.is_dictionary(values.type) and len(values.dictionary):
            lengths = pc.binary_length(values.dictionary).cast(pa.int64())
            total += pc.sum(lengths.take(values.indices)).as_py() or 0
    return total


def _check_version(version: object, read: int, path: Path) -> None:
    if version != read:
        raise InputError(
            f"{path} has schema version {version!r}, this program reads {read}; run `gaze-vlm prepare` again, "
            "which keeps what has not changed"
        )
