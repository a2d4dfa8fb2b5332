"""Checks of the machine: GPU and driver, video decoders, disk, memory, processors, caches."""

import ctypes
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Literal

from gaze_vlm.cores import cores, has_gpu, processor_name, processor_quota, processors
from gaze_vlm.deaths import GB, SHARED
from gaze_vlm.doctor.installation import Finding

DECODERS = {"H.264": ("h264",), "HEVC": ("hevc",), "VP9": ("vp9",), "AV1": ("libdav1d", "libaom-av1")}
"""What each kind of video is decoded by, without a GPU; one of them suffices."""
LITTLE_DISK_GB, NO_DISK_GB = 10.0, 1.0
LITTLE_MEMORY_GB, NO_MEMORY_GB = 8.0, 2.0
LITTLE_SHARED_GB = 1.0
"""Containers have 64 MB of shared memory unless told otherwise; batches of loaders pass through it."""


def check_gpu() -> Iterator[Finding]:
    """Check torch's CUDA against the driver, and what GPUs there are."""
    import torch

    built, driver = torch.version.cuda, driver_cuda()
    if not has_gpu():
        if Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia").is_dir():
            fix = "start the container with GPUs (docker run --gpus all); look at CUDA_VISIBLE_DEVICES and nvidia-smi"
            yield Finding("GPU", "problem", "NVIDIA's driver is on this machine, and no GPU is to be had", fix)
        else:
            text = f"none: trainings run on the CPU, enough for the kitchen and the tests (torch {torch.__version__})"
            yield Finding("GPU", "ok", text)
        return
    if built is None:
        text = f"torch {torch.__version__} is built for the CPU alone"
        yield Finding("GPU", "problem", text, "install a torch with CUDA: pytorch.org, Get Started")
        return
    if driver is not None and driver[0] < int(built.partition(".")[0]):
        text = f"the driver is of CUDA {driver[0]}.{driver[1]}, and torch {torch.__version__} of CUDA {built}"
        fix = f"update the driver, or install a torch of CUDA {driver[0]} (pytorch.org, Get Started)"
        yield Finding("GPU", "problem", text, fix)
        return
    if not torch.cuda.is_available():
        text = f"the driver has a GPU, and torch {torch.__version__} (CUDA {built}) cannot use it"
        yield Finding("GPU", "problem", text, "run nvidia-smi, and restart the machine after an update of the driver")
        return
    version = "" if driver is None else f", driver of CUDA {driver[0]}.{driver[1]}"
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        text = f"{properties.name}, {properties.total_memory / GB:.0f} GB, torch of CUDA {built}{version}"
        if properties.major < 8:
            yield Finding(f"GPU {number}", "warning", f"{text}: it has no bfloat16", "--trainer.precision=16-mixed")
        else:
            yield Finding(f"GPU {number}", "ok", text)


def driver_cuda() -> tuple[int, int] | None:
    """Return the newest CUDA that NVIDIA's driver knows, as (major, minor); None where there is no driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


def check_decoders() -> Iterator[Finding]:
    """Check that PyAV's FFmpeg decodes the usual videos, and writes H.264."""
    import av

    missing = [kind for kind, names in DECODERS.items() if not any(has_codec(name, "r") for name in names)]
    missing += [] if has_codec("libx264", "w") else ["writing H.264"]
    text = f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}"
    if missing:
        fix = "pip install --force-reinstall --only-binary av av, whose wheel has an FFmpeg of its own"
        yield Finding("video", "problem", f"{text} lacks {', '.join(missing)}", fix)
    else:
        yield Finding("video", "ok", f"{text}: {', '.join(DECODERS)}")


def has_codec(name: str, mode: Literal["r", "w"]) -> bool:
    """Return whether PyAV's FFmpeg decodes (`r`) or encodes (`w`) a codec."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec(name, mode)
    except UnknownCodecError:
        return False
    return True


def check_disk() -> Iterator[Finding]:
    """Check that files can be written in the working folder and for the time being, and how much room there is."""
    places = {"working folder": (Path.cwd(), LITTLE_DISK_GB), "temporary files": (Path(gettempdir()), NO_DISK_GB)}
    for name, (folder, little) in places.items():
        try:
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            text, fix = f"{folder} cannot be written: {error.strerror}", "go to a folder of your own, or set TMPDIR"
            yield Finding(name, "problem", text, fix)
        else:
            free = shutil.disk_usage(folder).free / GB
            fix = "make room, or choose another disk"
            yield _room(name, f"{folder}: {free:,.1f} GB free", free, little, NO_DISK_GB, fix)


def check_memory() -> Iterator[Finding]:
    """Check how much memory is free, and the shared memory through which loaders hand over batches."""
    free, by = available_memory()
    if free is not None:
        fix = "end other programs; fewer --data.workers and a smaller --data.cached_clips take less"
        text = f"{free / GB:,.1f} GB free, of {by}"
        yield _room("memory", text, free / GB, LITTLE_MEMORY_GB, NO_MEMORY_GB, fix)
    if SHARED.is_dir():
        room = shutil.disk_usage(SHARED)
        text = f"{SHARED}: {room.free / GB:.2f} of {room.total / GB:.2f} GB free"
        fix = "docker run --shm-size=8g, or --ipc=host; without it, --data.workers=0"
        yield _room("shared memory", text, room.free / GB, LITTLE_SHARED_GB, 0.0, fix)


def available_memory(
    machine: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")
) -> tuple[int | None, str]:
    """Return the bytes that are free, and what bounds them: the machine, or the container or job.

    Args:
        machine: what the kernel says of the machine.
        group: control group of this process, of version 2.
    """
    found = re.search(r"(?m)^MemAvailable: +(\d+) kB$", machine.read_text()) if machine.is_file() else None
    bounds = [] if found is None else [(int(found[1]) * 1024, "the machine")]
    most, used = group / "memory.max", group / "memory.current"
    if most.is_file() and used.is_file() and (limit := most.read_text().strip()) != "max":
        bounds.append((int(limit) - int(used.read_text()), "the container or job"))
    return min(bounds, default=(None, ""))


def check_processors() -> Iterator[Finding]:
    """Check that threads do not wait for each other: not more of them than processors, none beside other work."""
    count, most, set_to = processors(), cores(), os.environ.get("OMP_NUM_THREADS", "")
    text = f"{processor_name()}, {count} to use; OMP_NUM_THREADS {set_to or 'is not set'}"
    if set_to.isdigit() and int(set_to) > most:
        yield Finding("processors", "warning", f"{text}, which is more", f"export OMP_NUM_THREADS={most}")
    elif not set_to and most < count:
        text += f"; the container or job may use {processor_quota():g} of them"
        yield Finding("processors", "warning", text, f"export OMP_NUM_THREADS={most}")
    elif not set_to and os.getloadavg()[0] > count:
        text += f"; other work keeps {os.getloadavg()[0]:.1f} busy"
        yield Finding("processors", "warning", text, "export OMP_NUM_THREADS=1, while it does")
    else:
        yield Finding("processors", "ok", text)


def check_hub() -> Iterator[Finding]:
    """Check the cache of models from the hub, and whether any may be fetched."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    kept = len([*cache.glob("models--*")]) if cache.is_dir() else 0
    text = f"{cache}: {kept} model{'' if kept == 1 else 's'}, {shutil.disk_usage(there).free / GB:,.1f} GB free"
    if cache.parts[:1] == ("~",):
        text = "this user has no home folder, so a folder called ~ would be made wherever a command runs"
        yield Finding("models of the hub", "warning", text, "export HF_HOME=FOLDER, or set HOME")
    elif not os.access(there, os.W_OK):
        yield Finding("models of the hub", "warning", f"{text}; it cannot be written", "export HF_HOME=FOLDER")
    elif constants.HF_HUB_OFFLINE:
        text += "; HF_HUB_OFFLINE is set, so that nothing is fetched"
        yield Finding("models of the hub", "ok", text)
    else:
        yield Finding("models of the hub", "ok", f"{text}; others are fetched when a configuration names them")


def _room(name: str, text: str, free_gb: float, little_gb: float, none_gb: float, fix: str) -> Finding:
    """What is found of a room: a problem under `none_gb`, a warning under `little_gb`."""
    if free_gb >= little_gb:
        return Finding(name, "ok", text)
    return Finding(name, "problem" if free_gb < none_gb else "warning", text, fix)
