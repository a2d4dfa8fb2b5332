"""Processes that train together: each says that it lives, and none waits for one that has died."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from gaze_vlm.command_line.commands import how_to_resume
from gaze_vlm.errors import InputError, UserError
from gaze_vlm.progress import say
from gaze_vlm.runs.directory import RunDirectory
from gaze_vlm.time_limit import within
from gaze_vlm.training.peer import Peer

BEAT_S = 2.0  # between two signs of life
SILENT_S = 30.0  # without one, on another machine: it has died
GRACE_S = 5.0  # for a process to end by itself, once another has died, and for all to hear of it
STOP_S = 30.0  # the same, once another was stopped
TEARDOWN_S = 60.0  # for one that failed to end: it may wait for a collective that nobody else makes
STOPPED = "was stopped"
FAILED = 1  # exit status
OF_COLLECTIVES = re.compile(r"gloo|nccl|c10d|TCPStore|(closed|reset) by peer|broken pipe", re.IGNORECASE)


class PeerWatch(Callback):
    """End this process where another of its training has died or failed, within a minute and with a line that says so.

    A collective would wait for it. A long validation, a compilation or a debugger is no death: the thread that gives
    signs of life goes on.

    Args:
        run: the run directory.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.sessions = count()  # a test after the training is another
        self.watch: Watch | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.world_size > 1:
            peer = Peer.this(trainer.global_rank, trainer.world_size)
            self.watch = Watch(peer, self.run if stage == "fit" else None, take_over(trainer), next(self.sessions))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self.watch is not None:
            self.watch.leave()
            self.watch = None

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if self.watch is None:
            return
        if not isinstance(exception, UserError | KeyboardInterrupt | SystemExit):
            # It may fail because another has: then the watch says so, and ends this process.
            patience_s = SILENT_S + GRACE_S if OF_COLLECTIVES.search(str(exception)) else 2 * BEAT_S
            if self.watch.other_ended.wait(patience_s):
                time.sleep(2 * GRACE_S)
        self.watch.leave(exception)
        self.watch = None


def take_over(trainer: L.Trainer) -> Sequence["subprocess.Popen[bytes]"]:
    """Return the processes that Lightning has started, which it no longer looks after.

    It would kill all with SIGKILL where one has ended, without a word.
    """
    launcher: Any = trainer.strategy.launcher
    looked_after: list[subprocess.Popen[bytes]] = getattr(launcher, "procs", [])
    started = list(looked_after)
    if started:
        looked_after.clear()
        launcher.procs = started  # it passes signals on
    return started


class Watch:
    """Signs of life of this process, and a thread that looks for those of the others.

    They are in the store by which the processes have met. The processes of a machine look at each other, and process 0
    at those of other machines; the first verdict counts for all.

    Args:
        peer: this process.
        run: where the state of the training is kept; None where nothing is trained.
        children: processes that this one started.
        session: how many watches this process had before.
    """

    def __init__(
        self, peer: Peer, run: RunDirectory | None, children: Sequence["subprocess.Popen[bytes]"], session: int
    ) -> None:
        self.peer, self.run, self.children = peer, run, children
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        patience = timedelta(seconds=SILENT_S)
        store = torch.distributed.TCPStore(host, port, is_master=False, timeout=patience, wait_for_workers=False)
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # torchrun keeps the store
        self.store = torch.distributed.PrefixStore(f"gaze_vlm/{restart}/{session}", store)
        self.ranks = range(peer.processes)
        self.peers: list[Peer] = []  # until all are there, none can be missed
        self.beat = 0
        self.store.set(f"beat/{peer.rank}", "0")
        self.beats: dict[int, tuple[bytes, float]] = {}  # the last of each, and when it was new
        self.left = threading.Event()
        self.other_ended = threading.Event()  # died or failed
        self.failure = ""
        self.store.set(f"peer/{peer.rank}", peer.text())
        threading.Thread(target=self._watch, daemon=True, name="peer-watch").start()

    def leave(self, error: BaseException | None = None) -> None:
        """End the watch, and tell the others why where it is by an error."""
        if isinstance(error, KeyboardInterrupt | SystemExit):
            verdict = f"{self.peer} {STOPPED}"
        elif error is not None:
            name = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            self.failure = verdict = f"{self.peer} failed: {name}{' '.join(str(error).split())}"
        self.left.set()
        with suppress(RuntimeError):  # the store has gone
            for kept in ("left", "heard"):
                self.store.set(f"{kept}/{self.peer.rank}", "")
            if error is not None:
                self.store.compare_set("verdict", "", verdict)
            end = time.monotonic() + (SILENT_S if error is None else GRACE_S)
            # The store is that of process 0, which is the last to end.
            while self.peer.rank == 0 and not self._is_set("heard", *self.ranks) and time.monotonic() < end:
                time.sleep(0.05)

    def _watch(self) -> None:
        while not self.left.wait(BEAT_S if self.peers else BEAT_S / 20):
            try:
                verdict = within(SILENT_S, "", self._look)
            except (RuntimeError, InputError):  # of the store
                verdict = self._first_has_gone()
            if verdict:
                self.other_ended.set()
            if verdict and not self.left.wait(STOP_S if verdict.endswith(STOPPED) else GRACE_S):
                self.end_process(verdict)
        if self.failure:
            time.sleep(TEARDOWN_S)
            self.end_process(f"{self.failure}; it did not end by itself")

    def _look(self) -> str:
        """Give a sign of life, and look for those of the others; why this process must end, or nothing."""
        others = [peer for peer in self.peers if peer.rank != self.peer.rank]
        ended = [peer for peer in others if self._has_ended(peer)]
        if any(peer.rank == 0 for peer in ended):
            return self._first_has_gone()
        self.beat += 1
        self.store.set(f"beat/{self.peer.rank}", str(self.beat))
        if not self.peers and self._is_set("peer", *self.ranks):
            self.peers = [Peer.read(text) for text in self.store.multi_get([f"peer/{rank}" for rank in self.ranks])]
        for peer in [*ended, *self._silent(others)]:
            if not self._is_set("left", peer.rank):
                self.store.compare_set("verdict", "", f"{peer} has died")
        if not self.store.check(["verdict"]):
            return ""
        self.store.set(f"heard/{self.peer.rank}", "")
        return self.store.get("verdict").decode()

    def _silent(self, others: Sequence[Peer]) -> list[Peer]:
        """Those of other machines that have long given no sign of life, as process 0 sees them."""
        distant = [peer for peer in others if self.peer.rank == 0 and not peer.is_on_machine_of(self.peer)]
        now, keys = time.monotonic(), [f"beat/{peer.rank}" for peer in distant]
        for peer, beat in zip(distant, self.store.multi_get(keys) if keys else [], strict=True):
            if beat != self.beats.get(peer.rank, (b"", 0.0))[0]:
                self.beats[peer.rank] = beat, now
        return [peer for peer in distant if now - self.beats[peer.rank][1] > SILENT_S]

    def _first_has_gone(self) -> str:
        """Say what became of process 0, and the store with it."""
        if not self.peers:
            return "process 0 does not answer"
        return f"{self.peers[0]} {'has died' if self._has_ended(self.peers[0]) else 'does not answer'}"

    def _has_ended(self, peer: Peer) -> bool:
        return peer.is_on_machine_of(self.peer) and peer.has_ended()

    def _is_set(self, what: str, *ranks: int) -> bool:
        return self.store.check([f"{what}/{rank}" for rank in ranks])

    def end_process(self, verdict: str) -> None:
        """End this process and those that it started, wherever they wait."""
        try:
            say(f"{verdict}{'' if self.run is None else f'; {how_to_resume(self.run)}'}")
            if self.run is not None and self.peer.rank == 0 and self.run.state == "running":
                self.run.write_state("failed")
            elif self.run is not None and self.peers and verdict.startswith(str(self.peers[0])):
                self.run.note_failure()
            end = time.monotonic() + GRACE_S
            for child in self.children:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, end - time.monotonic()))
                child.kill()
        finally:
            os._exit(FAILED)
