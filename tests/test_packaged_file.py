"""Weights that packages carry: found without running the package, and refused where their bytes are others."""

import hashlib
from pathlib import Path

import pytest

from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.metrics.sentence_encoder import TOKENIZER, WEIGHTS, MiniLM
from gaze_vlm.packaged_file import PackagedFile, checked_path
from gaze_vlm.pretraining.real_parts import DINOV2, SMOLLM2, read_dinov2, read_smollm2

CARRIED = [DINOV2, SMOLLM2, WEIGHTS, TOKENIZER]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a file into a package on the path, one that cannot be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    checked_path.cache_clear()

    def write(file: PackagedFile, content: bytes) -> Path:
        about = tmp_path / f"{file.package.replace('-', '_')}-{file.version}.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {file.package}\nVersion: {file.version}\n")
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / Path(file.path).parts[0] / "__init__.py").write_text("raise SystemExit('the package was run')\n")
        path.write_bytes(content)
        return path

    yield write
    checked_path.cache_clear()


def test_the_right_bytes_are_found_and_the_package_is_not_run(install) -> None:
    file = PackagedFile("some-weights", "1.0", "some_weights/w.bin", hashlib.sha256(b"right").hexdigest())
    path = install(file, b"right")
    assert checked_path(file) == path
    path.write_bytes(b"later")
    assert checked_path(file) == path  # once in a process


@pytest.mark.parametrize("file", CARRIED, ids=lambda file: file.path)
def test_other_bytes_are_refused_by_name(file: PackagedFile, install) -> None:
    path = install(file, b"other")
    with pytest.raises(InputError, match=f"{path.name} has SHA-256 .*, not {file.sha256}.*{file.package}=="):
        checked_path(file)


@pytest.mark.parametrize(
    ("file", "read"),
    [
        (DINOV2, lambda: read_dinov2(224)),
        (SMOLLM2, read_smollm2),
        (WEIGHTS, lambda: MiniLM().encode(["cut red cup"])),
        (TOKENIZER, lambda: MiniLM().encode(["cut red cup"])),
    ],
    ids=["dinov2", "smollm2", "weights", "tokenizer"],
)
def test_no_reader_reads_other_bytes(file: PackagedFile, read, install) -> None:
    if (other := {WEIGHTS: TOKENIZER, TOKENIZER: WEIGHTS}.get(file)) is not None:
        install(other, checked_path(other).read_bytes())
        checked_path.cache_clear()
    install(file, b"other")
    with pytest.raises(InputError, match="it is not the file that was checked, and is not read"):
        read()


def test_what_is_missing_is_named(install) -> None:
    gone = PackagedFile("no-such-package", "2.0", "no_such/w.bin", "")
    with pytest.raises(MissingFileError, match=r"no-such-package is not installed: .*no-such-package==2\.0` installs"):
        checked_path(gone)
    install(gone, b"").unlink()
    with pytest.raises(MissingFileError, match=r"w\.bin does not exist: .*no-such-package==2\.0` installs"):
        checked_path(gone)
