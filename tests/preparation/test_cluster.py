"""The Ray engine on a cluster of two nodes of this machine, one of which is lost half-way."""

import sys
import threading
import time
from pathlib import Path

import pytest

from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare


def content(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_without_ray_the_error_says_how_to_install_it(
    raw_root: Path, parameters: PreparationParameters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"engine ray needs Ray: pip install 'gaze-vlm-lightning\[cluster\]'"):
        prepare("egtea", raw_root, tmp_path / "store", parameters, engine="ray")


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_lost_node_changes_nothing(
    raw_root: Path, prepared: Path, parameters: PreparationParameters, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        lost = nodes.add_node(num_cpus=1)
        ray.init(
            address=nodes.address, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": ":".join(sys.path)}}
        )
        nodes.wait_for_nodes()
        store = tmp_path / "store"

        def lose_node() -> None:
            while not list((store / "videos").glob("P*")):
                time.sleep(0.01)
            nodes.remove_node(lost, allow_graceful=False)

        thread = threading.Thread(target=lose_node)
        thread.start()
        prepare("egtea", raw_root, store, parameters, engine="ray", address=nodes.address)
        thread.join()
        assert content(store) == content(prepared)
    finally:
        ray.shutdown()
        nodes.shutdown()
