"""config.yaml, which a run is resumed and repeated with."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
from jsonargparse import Namespace

from gaze_vlm.training.run_files import SaveConfig


class Parser:
    """Writes a configuration as one line, or breaks off while it does."""

    breaks = False

    def dump(self, config: Namespace, **_: Any) -> str:
        if self.breaks:
            raise KeyboardInterrupt
        return f"dir: {config.run.dir.name}, overwrite: {config.run.overwrite}\n"


def test_a_configuration_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """What was there stays when it is written anew and that breaks off; it is UTF-8 whatever the locale."""
    parser, run = Parser(), tmp_path / "küche"
    config = Namespace(run=Namespace(dir=run, overwrite=True), ckpt_path="last", trainer=Namespace(logger=None))
    trainer: Any = SimpleNamespace(loggers=[])
    SaveConfig(parser, config).save_config(trainer, L.LightningModule(), "fit")
    kept = (run / "config.yaml").read_bytes()
    assert kept.decode("utf-8") == "dir: küche, overwrite: False\n"
    parser.breaks = True
    with pytest.raises(KeyboardInterrupt):
        SaveConfig(parser, config).save_config(trainer, L.LightningModule(), "fit")
    assert [path.name for path in run.iterdir()] == ["config.yaml"]
    assert (run / "config.yaml").read_bytes() == kept
