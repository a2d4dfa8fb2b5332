import pytest
from torch import nn

from gaze_vlm.attention.sources import Layers, choose_layers
from gaze_vlm.errors import InputError

MODULES: dict[int, nn.Module] = {7: nn.Identity(), 15: nn.Identity(), 23: nn.Identity()}


@pytest.mark.parametrize(
    ("layers", "chosen"), [((15,), [15]), ((-1, 7), [23, 7]), ("all", [7, 15, 23]), ((), [])], ids=str
)
def test_layers_by_index_from_the_last_or_all(layers: Layers, chosen: list[int]) -> None:
    assert list(choose_layers(MODULES, layers, "vit_layers")) == chosen


def test_a_layer_that_cannot_be_captured_is_refused() -> None:
    with pytest.raises(InputError, match="vit_layers 3: the model's layers to choose from are 7, 15, 23, or -3 to -1"):
        choose_layers(MODULES, (3,), "vit_layers")
