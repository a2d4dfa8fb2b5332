"""A run that stands still: what every thread of each process is doing goes to the log."""

import faulthandler
import os
import signal
import socket
import threading
import time
from tempfile import TemporaryFile
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from gaze_vlm.progress import say

REPORTS = 3  # of one stall
LOOKS = 10  # in the time after which a run has stalled
STDERR = 2


class StallWatch(Callback):
    """Write the stacks of all threads to stderr where no batch has ended for some time; the run is left alone.

    Each process watches itself from a thread. Where a call into C keeps this thread from running, a timer of the system
    (SIGALRM) makes the main thread write its own stack, once, without saying which process it is. Any thread may do so
    in a process that was suspended for as long and is continued. None reads another's stack while that runs: this can
    bring the process down. What comes before the first batch, such as features of frames that are made, is not watched.

    Args:
        seconds: how long.
        frozen_after_s: after how long without a moment for this thread nothing else can run either; twice `seconds`
            unless given.
    """

    def __init__(self, seconds: float, frozen_after_s: float | None = None) -> None:
        self.seconds = seconds
        self.frozen_after_s = 2 * seconds if frozen_after_s is None else frozen_after_s
        self.last_s = 0.0  # when the last batch ended
        self.reports = 0  # since then
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Watch from now on."""
        self.batch_ended()
        if self.thread is None:
            self.ended.clear()
            faulthandler.register(signal.SIGALRM, file=STDERR, all_threads=False)
            rank = f"rank {trainer.global_rank} of {trainer.world_size}, "
            label = f"{rank if trainer.world_size > 1 else ''}pid {os.getpid()} on {socket.gethostname()}"
            self.thread = threading.Thread(target=self._watch, args=(label,), daemon=True)
            self.thread.start()

    on_train_start = on_validation_start = on_test_start = on_predict_start = start

    def batch_ended(self, *_: Any, **__: Any) -> None:
        """Note that the run moves."""
        self.last_s, self.reports = time.monotonic(), 0

    on_train_batch_end = on_validation_batch_end = on_test_batch_end = on_predict_batch_end = batch_ended

    def stop(self, *_: Any, **__: Any) -> None:
        """Watch no more."""
        if self.thread is not None:
            self.ended.set()
            self.thread.join()
            self.thread = None
            faulthandler.unregister(signal.SIGALRM)

    teardown = on_exception = stop

    def _watch(self, label: str) -> None:
        period_s = self.seconds / LOOKS
        while not self.ended.wait(period_s):
            signal.setitimer(signal.ITIMER_REAL, self.frozen_after_s)
            if self.reports < REPORTS and time.monotonic() - self.last_s >= self.seconds * (self.reports + 1):
                self.reports += 1
                say(report(label, self.seconds * self.reports))
        signal.setitimer(signal.ITIMER_REAL, 0)


def report(label: str, seconds: float) -> str:
    """Return the stacks of this process's threads, each line with the process that it is of."""
    with TemporaryFile() as stream:
        faulthandler.dump_traceback(stream)
        stream.seek(0)
        stacks = stream.read().decode(errors="replace")
    said = f"no batch has ended for {seconds / 60:g} minutes; each thread, the innermost call first:"
    return "\n".join(f"[{label}] {line}" for line in (said, *stacks.split("\n")) if line)
