"""Checkpoint files: written whole, in the background, and read where the digest beside them fits."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from gaze_vlm.digests import file_digest, sum_beside
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.output import draft_of, kept, set_aside, write_atomically, writing
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.training.sharded_checkpoint import read_rest, read_sharded


class CheckpointFiles(TorchCheckpointIO):
    """Read and write checkpoints for Lightning, each whole or not at all.

    Saving copies the state into memory; a thread writes it, one file at a time and in order. A process that is killed
    while it writes leaves the earlier file.
    """

    def __init__(self) -> None:
        self.thread: ThreadPoolExecutor | None = None  # from the first checkpoint on: with one, nothing can be copied
        self.under_way: Future[None] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Begin to write a checkpoint, once the one before is written.

        Raises:
            OutputError: the file system refused the one before.
        """
        content = _serialized(checkpoint)
        self.begin(lambda: _write(content, Path(path)))

    def begin(self, write: Callable[[], None]) -> None:
        """Begin what writes a checkpoint, once the one before is written.

        Raises:
            OutputError: the file system refused the one before.
        """
        self.wait()
        self.thread = self.thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self.under_way = self.thread.submit(write)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        self.wait()
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        self.wait()
        super().remove_checkpoint(path)
        sum_beside(Path(path)).unlink(missing_ok=True)

    def wait(self, until_written: bool = True) -> None:
        """Wait until what was saved is on disk; or only look whether its writing failed.

        Raises:
            OutputError: the file system refused; the earlier file is untouched.
        """
        if self.under_way is not None and (until_written or self.under_way.done()):
            under_way, self.under_way = self.under_way, None
            under_way.result()

    teardown = wait


def find_checkpoint(name: str | Path | None, run: RunDirectory, command: str) -> str | None:
    """Find the file or folder that `--ckpt_path` names; `best` and `last` are those of the run.

    None warns where a command other than `fit` would score untrained weights beside trained ones.

    Raises:
        MissingFileError: there is none.
    """
    if name is None and command != "fit" and kept(run.best).exists():
        rank_zero_warn("no --ckpt_path: untrained weights are taken; --ckpt_path best takes those of the run")
    name = None if name is None else str(name)  # which the parser may have made a path
    if name is None or "://" in name:
        return name
    if name == "hpc":  # what Lightning writes before a cluster's scheduler requeues a job
        if not any(run.path.glob("hpc_ckpt_*.ckpt")):
            raise MissingFileError(f"--ckpt_path hpc: {run.path} has no hpc_ckpt_N.ckpt; use last, or leave it out")
        return name
    path = kept({"best": run.best, "last": run.last}.get(name, Path(name)))
    if not path.exists():
        otherwise = "leave the option out to begin anew" if command == "fit" else "correct the path, or train the run"
        raise MissingFileError(f"--ckpt_path {name}: {path} does not exist: {otherwise}")
    return str(path)


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint and its digest, each whole or not at all.

    Raises:
        OutputError: the file system refused; the earlier file is untouched.
    """
    _write(_serialized(checkpoint), path)


def _serialized(checkpoint: dict[str, Any]) -> bytes:
    content = BytesIO()
    torch.save(checkpoint, content)
    return content.getvalue()


def _write(content: bytes, path: Path) -> None:
    digest = hashlib.sha256(content).hexdigest()
    with ExitStack() as replacing, draft_of(path) as draft:
        with writing(path):
            draft.write_bytes(content)
        # Between the two renames the checkpoint may be the new one or that of before: both are right.
        _write_digests([digest, *([file_digest(path)] if path.is_file() else [])], path)
        if not path.is_file():  # but a folder, of a training whose strategy was another
            with writing(path):
                replacing.enter_context(set_aside(path))
    _write_digests([digest], path)


def read_checkpoint(path: Path, weights: bool = True) -> dict[str, Any]:
    """Read a checkpoint of this package, a file or a folder of shards, into the host's memory.

    Args:
        path: the file or folder.
        weights: False leaves out what is in shards, which need not be there.

    Raises:
        MissingFileError: there is none.
        InputError: it is empty, cut short, changed since it was written, or of another program.
    """
    path = kept(path)
    read_folder = read_sharded if weights else read_rest
    checkpoint = read_folder(path) if path.is_dir() else _read_file(path)
    if not isinstance(checkpoint, dict) or not {"gaze_vlm", "state_dict"} <= checkpoint.keys():
        raise InputError(f"{path} was not written by gaze_vlm: name the best.ckpt or last.ckpt of a run")
    return checkpoint


def _read_file(path: Path) -> Any:
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist: correct the path, or train the run")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty: its writing was cut short; copy it again, or train the run again")
    known = sum_beside(path)
    if not known.is_file():
        rank_zero_warn(f"{path} has no {known.name} beside it: whether its bytes are those written is not checked")
    elif file_digest(path) not in known.read_text(encoding="utf-8", errors="replace").split():
        raise InputError(
            f"{path} is not the file that was written: its SHA-256 is not that in {known.name}; copy it again, "
            "or train the run again"
        )
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # of a file of any other kind, the unpickler raises anything
        raise InputError(
            f"{path} cannot be read as a checkpoint: it is cut short, or another program's; copy it again, or name "
            "one that gaze_vlm wrote"
        ) from error


def _write_digests(digests: list[str], path: Path) -> None:
    write_atomically(sum_beside(path), "".join(f"{digest}  {path.name}\n" for digest in digests))
