"""RAFT with random weights from a file: the same flow as the network itself gives, and weights that do not fit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.optical_flow import raft_small

from egtea_files import texture, write_video
from gaze_vlm.gaze.flow import FlowOptions, flow_estimator
from gaze_vlm.gaze.samples import GazeSamples
from gaze_vlm.preparation.frame_sampling import prepare_video
from gaze_vlm.preparation.parameters import PreparationParameters


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return raft_small(weights=None).eval()


@pytest.fixture(scope="module")
def weights(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "raft_small.pth"
    torch.save(network.state_dict(), path)
    return path


def frames(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.random.default_rng(0).integers(0, 256, (2, height, width), dtype=np.uint8)
    return first, second


def test_flow_is_the_networks(network: torch.nn.Module, weights: Path) -> None:
    source, target = frames(128, 136)
    flow = flow_estimator(FlowOptions("raft_small", weights))(source, target)
    with torch.no_grad():
        images = [torch.from_numpy(image).float().expand(1, 3, -1, -1) / 127.5 - 1 for image in (source, target)]
        expected = network(*images)[-1][0].permute(1, 2, 0).numpy()
    assert flow.dtype == np.float32
    np.testing.assert_allclose(flow, expected, atol=1e-4)


def test_a_preparation_uses_it(weights: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [texture(0)[:96, :128]] * 24)
    gaze = GazeSamples(np.array([0.9, 0.95]), np.full((2, 2), 0.5), np.zeros(2, dtype=np.uint8))
    by_raft = prepare_video(path, gaze, PreparationParameters(flow="raft_small", flow_weights=weights))
    by_dis = prepare_video(path, gaze, PreparationParameters())
    assert np.abs(by_dis.xy - 0.5).max() < 1e-2  # nothing moves
    assert np.abs(by_raft.xy - by_dis.xy).max() > 1e-3  # but random weights see something


def test_any_size_of_frame(weights: Path) -> None:
    assert flow_estimator(FlowOptions("raft_small", weights))(*frames(96, 131)).shape == (96, 131, 2)


def test_safetensors_hold_the_same_weights(network: torch.nn.Module, weights: Path, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "raft.safetensors")
    flows = [
        flow_estimator(FlowOptions("raft_small", path))(*frames(128, 128))
        for path in (weights, tmp_path / "raft.safetensors")
    ]
    np.testing.assert_array_equal(*flows)


def test_weights_that_do_not_fit(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the weights of torchvision's raft_large"):
        flow_estimator(FlowOptions("raft_large", weights))
    with pytest.raises(ValueError, match=r"none.pth is missing: put the weights"):
        flow_estimator(FlowOptions("raft_small", tmp_path / "none.pth"))
    (tmp_path / "noise.pth").write_bytes(b"noise")
    with pytest.raises(ValueError, match=r"noise.pth: cannot be read as weights"):
        flow_estimator(FlowOptions("raft_small", tmp_path / "noise.pth"))
    with pytest.raises(ValueError, match="raft_small needs weights"):
        flow_estimator(FlowOptions("raft_small"))
    with pytest.raises(ValueError, match="flow 'farneback' is unknown"):
        flow_estimator(FlowOptions("farneback"))  # type: ignore[arg-type]


def test_workers_need_no_torch() -> None:
    code = "import sys, gaze_vlm.preparation.runner; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
