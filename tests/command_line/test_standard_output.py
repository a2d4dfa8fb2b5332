"""Letters: what is printed where standard output lacks some or nobody reads it, and files in other encodings."""

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


def test_a_locale_of_another_encoding_is_refused() -> None:
    """Configurations were read in it: letters beyond ASCII were others, or a traceback."""
    other = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "gaze_vlm", "doctor"]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | other)
    assert ran.returncode == 1
    assert ran.stderr.startswith("gaze-vlm doctor: error: text files would be read as ANSI_X3.4-1968")
    assert ran.stderr.endswith("`export PYTHONUTF8=1`\n")
