"""Every family in turn, and its tiny checkpoint, which is read from disk once."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from every_family import checkpoint, family  # noqa: F401 (fixtures)
from gaze_vlm.backbones import base, loading


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """Copy what was loaded before with the same arguments: most of these tests load the same model."""
    loaded: dict[str, tuple[Any, Any]] = {}

    def load_checkpoint(model_class: Any, folder: str, *arguments: Any, **more: Any) -> tuple[Any, Any]:
        files = [(file.name, file.stat().st_mtime_ns) for file in sorted(Path(folder).glob("*"))]
        key = repr((model_class, folder, arguments, more, files))
        if not files or more.get("quantized") is not None:
            return loading.load_checkpoint(model_class, folder, *arguments, **more)
        if key not in loaded:
            loaded[key] = loading.load_checkpoint(model_class, folder, *arguments, **more)
        return copy.deepcopy(loaded[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "load_checkpoint", load_checkpoint)
        yield
