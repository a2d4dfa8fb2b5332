"""Pictures that commands write."""

from pathlib import Path

from matplotlib.figure import Figure

from gaze_vlm.output import writing

KINDS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
DPI = 110


def save(figure: Figure, output: Path) -> None:
    """Write a figure, of the kind that the file's name says.

    Raises:
        OutputError: the file system refused.
    """
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=DPI)
    print(f"wrote {output}")
