from pathlib import Path

import pytest

from fake_comparison import write_config


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory with configs, and a comparison of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("base", "control", "gaze"):
        Path(f"{name}.yaml").write_text(f"# {name}\n")
    write_config()
    return Path("compare.yaml")
