"""What is printed, where standard output lacks letters or nobody reads it."""

import os
import subprocess
import sys

import pytest

HELP = [sys.executable, "-m", "gaze_vlm", "--help"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_a_terminal_lacks(encoding: str) -> None:
    ran = subprocess.run(HELP, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}, check=True)
    sign = "\u00d7".encode(encoding, "backslashreplace")
    assert b"arms " + sign + b" seeds" in ran.stdout
    assert not ran.stderr


@pytest.mark.parametrize(("unbuffered", "status"), [("", 0), ("1", 141)], ids=["at the end", "while it prints"])
def test_nobody_reads_what_is_printed(unbuffered: str, status: int) -> None:
    """As behind `| head`: no traceback, whenever it is noticed."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    ran = subprocess.run(HELP, stdout=writer, stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (status, b"")
