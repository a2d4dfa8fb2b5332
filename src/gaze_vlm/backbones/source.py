"""Where a backbone's attention comes from, by its options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from gaze_vlm.attention.capture import AttentionCapture
from gaze_vlm.attention.sources import AttentionSource, BlockSource, LanguageSource, VitSource
from gaze_vlm.errors import InputError

if TYPE_CHECKING:
    from gaze_vlm.backbones.base import Backbone


def attention_source(backbone: "Backbone") -> AttentionSource | None:
    """Where the attention that is handed over comes from.

    Raises:
        ValueError: layers that the model does not have, or of both of its halves.
    """
    if backbone.vit_layers and backbone.language_layers:
        raise InputError("vit_layers and language_layers attend over different grids: set one of them")
    if backbone.vit_layers:
        modules = layers_of(backbone.vit_attention_modules(), backbone.vit_layers, "vit_layers")
        capture, layout = backbone.capture_of([*modules.values()]), backbone.layout
        return VitSource(
            capture,
            layout.vit,
            backbone.has_class_token,
            backbone.prefix_tokens,
            backbone.patch_positions,
            backbone.heads,
        )
    if backbone.language_layers:
        if backbone.tokens_per_frame < len(backbone.grid):
            raise InputError("language_layers look at a frame's patches: set the block's output to `modulate`")
        modules = layers_of(backbone.language_attention_modules(), backbone.language_layers, "language_layers")
        capture = AttentionCapture([*modules.values()])
        return LanguageSource(capture, backbone.grid, backbone.visual_token, backbone.tokens_per_frame, backbone.heads)
    return None if backbone.block is None else BlockSource(backbone.block, backbone.grid, backbone.heads)


def layers_of(modules: dict[int, nn.Module], layers: Sequence[int], option: str) -> dict[int, nn.Module]:
    """The layers asked for by their index, or counted from the last: each index with its attention module.

    Raises:
        ValueError: a layer that cannot be taken.
    """
    known = list(modules)
    for layer in layers:
        if layer not in modules and not -len(known) <= layer < 0:
            raise InputError(
                f"{option} {layer}: the model's layers to choose from are {', '.join(map(str, known))}, "
                f"or {-len(known)} to -1 counted from the last"
            )
    chosen = [layer if layer in modules else known[layer] for layer in layers]
    return {layer: modules[layer] for layer in chosen}
