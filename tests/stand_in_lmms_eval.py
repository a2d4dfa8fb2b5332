"""What the adapter uses of lmms-eval 0.7.3, for tests where it is not installed: it refuses the `av` that we need.

The names and shapes are those of its `api/model.py`, `api/instance.py`, `protocol.py` and `models/registry_v2.py`. The
same tests pass with the real package.
"""

import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Lmms:
    is_simple = True

    def __init__(self) -> None:
        self.cache_hook = SimpleNamespace(add_partial=lambda name, key, value: None)
        self.task_dict: dict[str, Any] = {}


@dataclass
class Instance:
    request_type: str
    arguments: tuple
    idx: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> tuple:
        return self.arguments


class ChatMessages:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        times = {"start_time": None, "end_time": None}
        self.messages = [
            SimpleNamespace(
                role=message["role"],
                content=[SimpleNamespace(**(times | content)) for content in message["content"]],
            )
            for message in messages
        ]


@dataclass(frozen=True)
class ModelManifest:
    model_id: str
    simple_class_path: str | None = None
    chat_class_path: str | None = None
    aliases: tuple[str, ...] = ()


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where the real package is not installed."""
    if "lmms_eval" not in sys.modules and find_spec("lmms_eval") is not None:
        return
    for name, content in {
        "lmms_eval": {},
        "lmms_eval.api": {},
        "lmms_eval.api.model": {"lmms": Lmms},
        "lmms_eval.api.instance": {"Instance": Instance},
        "lmms_eval.protocol": {"ChatMessages": ChatMessages},
        "lmms_eval.models": {},
        "lmms_eval.models.registry_v2": {"ModelManifest": ModelManifest},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
