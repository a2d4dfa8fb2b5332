from pathlib import Path

import pytest

from gaze_vlm.processes.following import following, last_line
from waiting import wait_until


def test_the_last_whole_line_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    log, said = tmp_path / "log.txt", ""

    def says(line: str) -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return f"{log}: {line}\n" in said

    with following(log, interval_s=0.01):
        for number in range(2):
            with log.open("a") as file:
                file.write(f"training: {number}/2\n\n")
            wait_until(lambda line=f"training: {number}/2": says(line), log)  # type: ignore[misc]
    assert said.splitlines() == [f"{log}: training: {number}/2" for number in range(2)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", ""),
        ("a", ""),
        ("a\nb", "a"),
        ("a\n \n", "a"),
        ("x" * 9000 + "\nlast\n", "last"),
        ("\udcff é\n", "\ufffd\ufffd\ufffd é"),
    ],
)
def test_the_last_line(content: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(content.encode("utf-8", errors="surrogatepass"))
    assert last_line(tmp_path / "log.txt") == line
    assert last_line(tmp_path / "none.txt") == ""
