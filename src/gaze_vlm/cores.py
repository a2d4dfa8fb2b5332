"""How many processors there are to use and which, and whether a GPU."""

import ctypes
import os
import platform
import re
from pathlib import Path


def cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
