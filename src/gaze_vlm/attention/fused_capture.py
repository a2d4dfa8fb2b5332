"""Queries and keys of attention modules that call torch's fused attention themselves, as timm's do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gaze_vlm.attention.capture import AttentionCapture, Captured, Sink
from gaze_vlm.errors import InputError


class FusedCapture(AttentionCapture):
    """Captures modules of any library that use `scaled_dot_product_attention`.

    They stay on that fast path.

    Raises:
        InputError: (in the forward pass) a module adds a mask or bias to its attention. Queries and keys alone do not
            give it.
    """

    @contextmanager
    def capturing(self, sinks: Sequence[Sink] = ()) -> Iterator[None]:
        with ExitStack() as hooks:
            for module, sink in zip(self.modules, sinks or self.keep(), strict=True):
                recording = _Recording(sink)
                hooks.enter_context(module.register_forward_pre_hook(partial(_enter, recording)))
                hooks.enter_context(module.register_forward_hook(partial(_leave, recording), always_call=True))
            yield


def _enter(recording: "_Recording", *_: Any) -> None:
    recording.__enter__()


def _leave(recording: "_Recording", *_: Any) -> None:
    recording.__exit__(None, None, None)


class _Recording(TorchFunctionMode):
    """Gives the query, key and scale of each fused attention within to a sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.sink = sink

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            self.sink(_query_key_scale(*args, **kwargs))
        return func(*args, **kwargs)


def _query_key_scale(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Captured:
    """What torch's function is given, by its own names."""
    if attn_mask is not None or is_causal:
        raise InputError(
            "vit_layers: this vision tower adds a mask or bias to its attention, which cannot be captured; "
            "regularize a `block` or language_layers"
        )
    return query, key, query.shape[-1] ** -0.5 if scale is None else scale
