"""How many processors there are to use and which, and whether a GPU."""

import ctypes
import os
import platform
import re
from pathlib import Path


def cores() -> int:
    """Count the processors that this process can keep busy: of a container or job, not more than its share of time."""
    quota = processor_quota()
    return processors() if quota is None else min(processors(), max(1, int(quota)))


def processors() -> int:
    """Count the processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_quota(group: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Return how many processors' time a container or job may use; None where nothing bounds it.

    Args:
        group: control group of this process, of version 2.
    """
    file = group / "cpu.max"
    most, period = file.read_text(encoding="utf-8").split() if file.is_file() else ("max", "1")
    return None if most == "max" else int(most) / int(period)


def processor_name() -> str:
    """Return the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"(?m)^model name\s*: (.+)$", info.read_text(encoding="utf-8")) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


def has_gpu() -> bool:
    """Return whether NVIDIA's driver has a GPU for this process.

    The driver heeds CUDA_VISIBLE_DEVICES. torch, which would ask it too, takes seconds to import.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    gpus = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(gpus)) == 0 and gpus.value > 0
