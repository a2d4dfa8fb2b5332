"""What the processes of a training do together: where it fails in one, it fails in all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.distributed import ProcessGroup

from gaze_vlm.errors import UserError

Item = TypeVar("Item")


def gathered(value: Any, group: ProcessGroup | None = None) -> list[Any]:
    """Return the values of all processes, in their order."""
    if not torch.distributed.is_initialized():
        return [value]
    values = [None] * torch.distributed.get_world_size(group)
    torch.distributed.all_gather_object(values, value, group=group)
    return values


def of_all(items: list[Item]) -> list[Item]:
    """Return the items of all processes."""
    return [item for part in gathered(items) for item in part]


@contextmanager
def together(group: ProcessGroup | None, kind: type[UserError]) -> Iterator[None]:
    """Around what all processes do: where it fails in one, it fails in all.

    Raises:
        UserError: of this kind, what failed in another process.
    """
    failed: Exception | None = None
    try:
        yield
    except Exception as error:
        failed = error
    texts = gathered(failed and (str(failed) if isinstance(failed, UserError) else repr(failed)), group)
    if failed is not None:
        raise failed
    for text in texts:
        if text is not None:
            raise kind(text)
