"""`gaze-vlm doctor`: of the installation, or of the training that options describe.

It imports nothing large, so that it can say what is wrong where that cannot be imported.
"""

from collections.abc import Sequence
from typing import Any

from gaze_vlm.doctor.installation import Check, found_by, installation_page
from gaze_vlm.doctor.machine import (
    check_decoders,
    check_disk,
    check_gpu,
    check_hub,
    check_memory,
    check_processors,
)
from gaze_vlm.doctor.packages import (
    check_commands,
    check_namesake,
    check_packages,
    check_python,
    check_sentence_encoder,
    check_shipped,
    check_torchvision,
)
from gaze_vlm.errors import InputError
from gaze_vlm.foreign_text import visible

CHECKS: tuple[Check, ...] = (
    *(check_python, check_packages, check_torchvision, check_namesake, check_commands),
    *(check_shipped, check_sentence_encoder),
    *(check_gpu, check_decoders, check_processors, check_memory, check_disk, check_hub),
)


def doctor(args: list[str]) -> Any:
    """Print what is installed; with the options of `lightning fit`, what that training would be.

    Raises:
        InputError: something would fail; the page names it.
    """
    if not args:
        return check_installation()
    from gaze_vlm.doctor.doctor import doctor as of_training

    return of_training(args)


def check_installation(checks: Sequence[Check] = CHECKS) -> None:
    """Print what is installed and what the machine has, each with its fix where it is not in order.

    Raises:
        InputError: something keeps commands from working.
    """
    found = found_by(checks)
    print(visible(installation_page(found)), flush=True)
    problems = dict.fromkeys(one.name for one in found if one.state == "problem")
    if problems:
        raise InputError(f"this installation has problems ({', '.join(problems)}): the fix of each is behind its →")
