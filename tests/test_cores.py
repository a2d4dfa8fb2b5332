"""How many processors there are to use."""

from pathlib import Path

import pytest

from gaze_vlm import cores


def test_the_quota_of_a_container(tmp_path: Path) -> None:
    assert cores.processor_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores.processor_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cores.processor_quota(tmp_path) == 1.5


@pytest.mark.parametrize(("quota", "count"), [(None, 64), (0.5, 1), (2.5, 2), (100.0, 64)])
def test_a_container_starts_no_more_processes_than_its_share(
    quota: float | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "processors", lambda: 64)
    monkeypatch.setattr(cores, "processor_quota", lambda: quota)
    assert cores.cores() == count
