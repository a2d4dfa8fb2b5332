"""Two trained arms and the model without a block, in a folder with their comparison."""

from pathlib import Path

import pytest
import yaml

from training_files import ARMS, fit


@pytest.fixture(scope="session")
def compared(tiny_llava: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison's YAML; its runs are finished. Not to be changed."""
    folder = tmp_path_factory.mktemp("compared")
    arms = {arm: str(ARMS / f"{arm}.yaml") for arm in ("baseline", "control", "gaze")}
    for arm in arms:
        fit(folder / "runs" / arm / "seed0", tiny_llava, prepared, arm=arm, steps=1)
    values = {
        "dataset": "kitchen",
        "backbone": "tiny-llava",
        "runs": str(folder / "runs"),
        "output": str(folder / "results" / "kitchen"),
        "arms": arms,
        "control": "control",
        "baseline": "baseline",
        "seeds": [0],
    }
    config = folder / "compare.yaml"
    config.write_text(yaml.safe_dump(values))
    return config
