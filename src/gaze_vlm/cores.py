"""How many processors there are to use, and whether a GPU."""

import ctypes
import os


def cores() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
