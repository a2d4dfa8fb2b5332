"""In place of MLflow, which is large: remembers which runs are asked for and what is logged to them."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.loggers import mlflow


class FakeMlflow:
    """Install as the package `mlflow`; it is its own client."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.created: list[str] = []
        self.continued: list[str] = []
        self.params: dict[str, str] = {}
        self.logged: list[tuple[str, float, int]] = []
        self.files: list[str] = []
        names = ("mlflow", "mlflow.entities", "mlflow.tracking", "mlflow.tracking.context")
        modules: dict[str, Any] = {name: ModuleType(name) for name in names}
        modules["mlflow"].set_tracking_uri = lambda uri: None
        modules["mlflow.entities"].Metric = modules["mlflow.entities"].Param = SimpleNamespace
        modules["mlflow.tracking"].MlflowClient = lambda uri: self
        modules["mlflow.tracking"].context = modules["mlflow.tracking.context"]
        modules["mlflow.tracking.context"].resolve_tags = lambda tags: tags
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(mlflow, "_MLFLOW_AVAILABLE", True)

    def get_experiment_by_name(self, name: str) -> Any:
        """Return an experiment that is there."""
        return SimpleNamespace(experiment_id=name, lifecycle_stage="active")

    def create_run(self, experiment_id: str, tags: Any) -> Any:
        """Begin a run."""
        self.created.append(f"{experiment_id}-run")
        return SimpleNamespace(info=SimpleNamespace(run_id=self.created[-1]))

    def get_run(self, run_id: str) -> Any:
        """Return a run that is there, to be continued."""
        self.continued.append(run_id)
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id, experiment_id="own"))

    def log_batch(self, run_id: str, params: Any = (), metrics: Any = ()) -> None:
        """Log options and figures."""
        self.params |= {one.key: one.value for one in params}
        self.logged += [(one.key, one.value, one.step) for one in metrics]

    def log_image(self, run_id: str, picture: Any, file: str) -> None:
        """Log a picture."""
        self.files.append(file)

    def log_text(self, run_id: str, text: str, file: str) -> None:
        """Log a text."""
        self.files.append(file)

    def set_terminated(self, run_id: str, status: str) -> None:
        """End a run."""
