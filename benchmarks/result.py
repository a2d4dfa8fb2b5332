"""Where a benchmark's figures go, with what they depend on."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write_result(
    name: str,
    figures: Mapping[str, float | int | str],
    command: str,
    device: str,
    packages: Sequence[str],
    conditions: Mapping[str, float | int | str],
) -> Path:
    """Writes `results/<name>.json` and prints it; the file.

    Args:
        name: of the benchmark.
        figures: what was measured, units in the names.
        command: that measures it again.
        device: what it ran on; a CPU's threads are a condition.
        packages: whose versions matter.
        conditions: sizes and settings of the measurement.
    """
    result = {
        "command": command,
        "device": device,
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
        "conditions": dict(conditions),
        "figures": dict(figures),
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    file.write_text(text, encoding="utf-8")
    print(text, end="")
    return file


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
