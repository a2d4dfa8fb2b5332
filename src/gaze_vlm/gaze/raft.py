"""Optical flow by torchvision's RAFT (Teed and Deng, 2020), with weights from a file."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from einops import rearrange, repeat
from jaxtyping import Float, Float32, UInt8
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from torchvision.models.optical_flow import raft_large, raft_small

from gaze_vlm.errors import InputError

NETWORKS = {"raft_small": raft_small, "raft_large": raft_large}
MULTIPLE_PX, LEAST_PX = 8, 128  # the network halves frames three times, and correlates at four levels below that


class RaftFlow:
    """Dense flow of a RAFT network.

    Grey frames go in as all three channels, padded to the sizes that it takes.

    Raises:
        InputError: the weights cannot be read or are of another network; or frames are not grey or differ in size.
    """

    def __init__(self, name: Literal["raft_small", "raft_large"], weights: Path, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self.network = NETWORKS[name](weights=None)
        try:
            self.network.load_state_dict(read_weights(weights))
        except RuntimeError as error:
            raise InputError(f"{weights}: not the weights of torchvision's {name}") from error
        self.network.to(self.device).eval()

    @torch.inference_mode()
    def __call__(
        self, source: UInt8[np.ndarray, "height width"], target: UInt8[np.ndarray, "height width"]
    ) -> Float32[np.ndarray, "height width 2"]:
        """Return the flow from `source` to `target` in pixels, (x, y)."""
        if source.shape != target.shape or source.ndim != 2:
            raise InputError(f"flow needs two grey frames of one size: {source.shape}, {target.shape}")
        height, width = source.shape
        flow = self.network(self._input(source), self._input(target))[-1]  # the last refinement
        flow = rearrange(flow[0, :, :height, :width], "component y x -> y x component")
        return flow.float().cpu().numpy()

    def _input(self, image: UInt8[np.ndarray, "height width"]) -> Float[Tensor, "1 3 rows columns"]:
        """In [−1, 1]; padding at the right and the bottom repeats the border."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).float() / 127.5 - 1
        rows, columns = (max(LEAST_PX, -(-side // MULTIPLE_PX) * MULTIPLE_PX) for side in image.shape)
        pixels = repeat(pixels, "y x -> 1 channel y x", channel=3)
        return functional.pad(pixels, (0, columns - image.shape[1], 0, rows - image.shape[0]), mode="replicate")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file, or a torch file of tensors alone.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: put the weights of torchvision's RAFT there")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # pickle, zip and safetensors each raise their own
        raise InputError(f"{path}: cannot be read as weights ({type(error).__name__}); copy the file again") from error
