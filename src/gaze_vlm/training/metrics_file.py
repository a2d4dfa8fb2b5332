"""`metrics.csv` of a run, which a resumed training continues row by row."""

import csv
import os
from pathlib import Path

from lightning.fabric.loggers.csv_logs import _ExperimentWriter
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment

from gaze_vlm.output import write_csv
from gaze_vlm.progress import say


class RunLogger(CSVLogger):
    """`metrics.csv` of a run, which a resumed training continues.

    Lightning's own logger would delete it.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, name="", version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> "MetricsFile":
        """Writes the file."""
        if self._experiment is None:
            os.makedirs(self.root_dir, exist_ok=True)  # noqa: PTH103
            self._experiment = MetricsFile(self.log_dir)
        assert isinstance(self._experiment, MetricsFile)
        return self._experiment

    @property
    def rows(self) -> int:
        """How many rows were logged, by this process."""
        return 0 if self._experiment is None else self.experiment.rows


class MetricsFile(_ExperimentWriter):
    """Lightning's writer, over a file that may hold rows.

    A process that is killed while it writes loses none that was written before.
    """

    rows = 0

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        super().log_metrics(metrics_dict, step)
        self.rows += 1

    def keep(self, rows: int) -> None:
        """Keep so many rows; those after them a resumed training logs again.

        Rows that are missing are reported.
        """
        file = Path(self.metrics_file_path)
        lines: list[dict[str, str]] = []
        if file.is_file():
            with file.open(newline="", encoding="utf-8") as stream:
                lines = list(csv.DictReader(stream))[:rows]
        if len(lines) < rows:
            say(f"{file} has {len(lines)} rows, the training had logged {rows}: the others are lost")
        self.rows, self.metrics_keys = len(lines), list(lines[0]) if lines else []
        self._write(lines)

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        with Path(self.metrics_file_path).open(newline="", encoding="utf-8") as stream:
            self._write(list(csv.DictReader(stream)))

    def _write(self, lines: list[dict[str, str]]) -> None:
        file = Path(self.metrics_file_path)
        if not lines:
            file.unlink(missing_ok=True)
            return
        rows = ([line.get(key, "") for key in self.metrics_keys] for line in lines)
        write_csv(file, self.metrics_keys, rows, line_end="\r\n")  # as Lightning's

    def _check_log_dir_exists(self) -> None:
        """Leave the file: Lightning's deletes it."""
