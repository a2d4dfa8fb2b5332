"""The process of a comparison imports no torch: it starts at once, and holds no GPU."""

import os
import subprocess
import sys
from pathlib import Path

from fake_comparison import write_config

CODE = """
import sys
from contextlib import nullcontext

import fake_comparison
from gaze_vlm.cli import main
from gaze_vlm.comparison import compare

compare.Subprocesses = lambda warmed: nullcontext(fake_comparison.Stub())
compare.check_runs = fake_comparison.accept
assert main(["compare", "--config=compare.yaml", "--seeds", "0", "1"]) == 0
print("imported:", *sys.modules)
"""


def test_a_comparison_imports_no_torch(project: Path) -> None:
    """From its options to its table: what needs torch is done in the warmed process."""
    write_config(curve=None)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in ran.stdout.rpartition("imported:")[2].split()}
    assert "gaze_vlm" in imported
    assert not imported & {"torch", "lightning", "transformers"}
    assert Path("results/kitchen.md").is_file()
