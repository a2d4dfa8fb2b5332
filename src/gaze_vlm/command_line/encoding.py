"""The encoding of text files: UTF-8, where jsonargparse takes the locale's."""

import codecs
import locale

from gaze_vlm.errors import InputError


def check_encoding() -> None:
    """Check that configurations are read and written in UTF-8.

    Raises:
        InputError: this machine's locale has another encoding, in which letters beyond ASCII would be others.
    """
    encoding = locale.getpreferredencoding(False)
    if codecs.lookup(encoding).name != "utf-8":
        raise InputError(
            f"text files would be read as {encoding}, the encoding of this locale, and ours are UTF-8: "
            "`export PYTHONUTF8=1`"
        )
