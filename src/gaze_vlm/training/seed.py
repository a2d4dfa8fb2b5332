"""The seed of a run: as it was given, or drawn where `true` was given."""

import os
import secrets

from gaze_vlm.errors import InputError
from gaze_vlm.ranges import is_seed

OF_LIGHTNING = "PL_GLOBAL_SEED"
"""Environment variable by which Lightning's first process tells the seed to those that it starts."""
PROCESSES = ("WORLD_SIZE", "SLURM_NTASKS")


def seed_of(given: bool | int) -> int:
    """The seed: `given`, or a drawn one where that is True, the same one in all processes of a run.

    Raises:
        InputError: no seed is asked for, or one that is out of range, or processes that do not know of each other are
            to draw one.
    """
    if given is False:
        raise InputError("seed_everything is false; expected a number, or true to draw one: run.json records it")
    if given is not True:
        is_seed(given)
        return given
    if "LOCAL_RANK" in os.environ and OF_LIGHTNING in os.environ:
        return int(os.environ[OF_LIGHTNING])
    if any(int(os.environ.get(name) or 1) > 1 for name in PROCESSES):
        raise InputError("seed_everything is true, which would draw a seed in each of several processes; give a number")
    return secrets.randbelow(2**31)
