"""Checkpoints in shards: a folder that all processes write, each its own part, and that is read as a file is.

The shards are safetensors of `torch.distributed.checkpoint`. What is in no shards is in one file beside them.
"""

import shutil
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed import ProcessGroup, get_rank
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.staging import BlockingAsyncStager
from torch.distributed.tensor import DTensor
from torch.utils._pytree import SequenceKey, tree_leaves_with_path, tree_map_only

from gaze_vlm.digests import SUMS, check_sums, file_digest, listed, sum_beside
from gaze_vlm.errors import InputError, OutputError
from gaze_vlm.output import draft_name, set_aside, sync_folder, write_synced, writing
from gaze_vlm.training.together import gathered, together

REST, SHARDS = "rest.pt", ".safetensors"
SHARDED = "sharded"
"""Key of the rest: the names in the shards, each with its place in the checkpoint and its whole shape."""
Place = tuple[str | int, ...]
"""Keys that lead to a value of a nested checkpoint."""
Like = Callable[[Place, TensorStorageMetadata], Tensor | None]


class StagedCheckpoint:
    """A copy of a checkpoint in the host's memory: this process's shards and, in the first process, the rest.

    Args:
        checkpoint: nested; its tensors in shards are `DTensor`s.
    """

    def __init__(self, checkpoint: dict[str, Any]) -> None:
        shards, places = {}, {}
        for keys, value in tree_leaves_with_path(checkpoint):
            if isinstance(value, DTensor):
                place = [key.idx if isinstance(key, SequenceKey) else key.key for key in keys]  # type: ignore[attr-defined]
                name = ".".join(map(str, place))
                shards[name], places[name] = value.detach(), (place, [*value.shape])
        self.shards = BlockingAsyncStager().stage(shards)
        self.rest: bytes | None = None
        if get_rank() == 0:
            content = BytesIO()
            torch.save({**tree_map_only(DTensor, lambda _: None, checkpoint), SHARDED: places}, content)
            self.rest = content.getvalue()

    def write(self, path: Path, group: ProcessGroup) -> None:
        """Write the folder together with the other processes, whole or not at all.

        Args:
            path: the folder, which it replaces.
            group: of all processes, for this alone.

        Raises:
            OutputError: the file system refused, here or in another process; what was there before is untouched.
        """
        draft = draft_name(path)
        with together(group, OutputError), writing(path):
            if self.rest is not None:
                draft.mkdir(parents=True)
        draft = gathered(draft, group)[0]
        try:
            with together(group, OutputError), writing(path):
                own = self._write_own(draft, group)
            sums = gathered(own, group)
            with together(group, OutputError), writing(path):
                if self.rest is not None:
                    _finish({name: digest for one in sums for name, digest in one.items()}, draft, path)
        finally:
            if self.rest is not None:
                shutil.rmtree(draft, ignore_errors=True)

    def _write_own(self, draft: Path, group: ProcessGroup) -> dict[str, str]:
        """Write what this process has; the digest of each file."""
        writer = dcp.HuggingFaceStorageWriter(str(draft), save_distributed=True)
        try:
            dcp.save(self.shards, storage_writer=writer, process_group=group)
        except CheckpointException as failed:
            raise next(error for error, _ in failed.failures.values()) from None
        files = [*draft.glob(f"shard-{get_rank() + 1:05}-*{SHARDS}")]
        if self.rest is not None:
            write_synced(draft / REST, self.rest)
            files.append(draft / REST)
        return {file.name: file_digest(file) for file in files}


def _finish(digests: dict[str, str], draft: Path, path: Path) -> None:
    if {file.name for file in draft.iterdir()} != digests.keys():
        raise OutputError(f"{path} lacks shards of some processes: put run.dir where all of them see the same files")
    write_synced(draft / SUMS, listed(digests).encode())
    with set_aside(path):
        sync_folder(draft)
        draft.replace(path)
        sync_folder(path.parent)
    sum_beside(path).unlink(missing_ok=True)  # of a file that was there before


def whole(place: Place, described: TensorStorageMetadata) -> Tensor:
    """Return an empty tensor in the host's memory for all shards of a tensor."""
    return torch.empty(described.size, dtype=described.properties.dtype)


def read_sharded(folder: Path, like: Like = whole, share: slice = slice(None)) -> dict[str, Any]:
    """Read a folder that `StagedCheckpoint.write` made; no other process is asked.

    Args:
        folder: the folder.
        like: makes the tensor that gets what is stored at a place of the checkpoint; None leaves None there.
        share: of the files whose bytes are checked.

    Raises:
        InputError: files are missing, or changed since they were written, or another program's.
    """
    check_sums(folder, (Path(REST).suffix, SHARDS), share)
    return read_parts(folder, like)


def read_parts(folder: Path, like: Like = whole) -> dict[str, Any]:
    """Read as `read_sharded` does, without a look at the digests.

    Raises:
        InputError: the files do not make a checkpoint.
    """
    checkpoint = read_rest(folder)
    try:
        reader = dcp.HuggingFaceStorageReader(str(folder))
        stored: Any = reader.read_metadata().state_dict_metadata
        tensors = {}
        for name, (place, shape) in checkpoint.pop(SHARDED).items():
            chunks = sum(chunk.sizes.numel() for chunk in stored[name].chunks)
            if [*stored[name].size] != shape or chunks != stored[name].size.numel():
                raise ValueError(f"parts of {name} are missing")
            if (tensor := like(tuple(place), stored[name])) is not None:
                tensors[name] = _put(checkpoint, place, tensor)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
            dcp.load(tensors, storage_reader=reader, no_dist=True)
    except (Exception, CheckpointException) as error:  # of foreign shards, anything
        raise _unreadable(folder) from error
    return checkpoint


def read_rest(folder: Path) -> dict[str, Any]:
    """Read what is in no shards; None stands where they belong.

    Raises:
        InputError: it cannot be read.
    """
    try:
        rest = torch.load(folder / REST, weights_only=True, map_location="cpu")
    except Exception as error:  # of a file of any other kind, the unpickler raises anything
        raise _unreadable(folder) from error
    if not isinstance(rest, dict) or not isinstance(rest.get(SHARDED), dict):
        raise _unreadable(folder)
    return rest


def _put(checkpoint: Any, place: list[str | int], tensor: Tensor) -> Tensor:
    *parents, last = place
    for key in parents:
        checkpoint = checkpoint[key]
    checkpoint[last] = tensor
    return tensor


def _unreadable(folder: Path) -> InputError:
    return InputError(
        f"{folder} cannot be read as a checkpoint: it is damaged, or another program's; copy it again, or name one "
        "that gaze_vlm wrote"
    )
