"""Pictures that commands write."""

from pathlib import Path

from matplotlib.figure import Figure

from gaze_vlm.output import draft_of, writing

KINDS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
DPI = 110


def save(figure: Figure, output: Path) -> None:
    """Write a figure, of the kind that the file's name says, all or nothing.

    Raises:
        OutputError: the file system refused.
    """
    with draft_of(output) as draft, writing(output):
        figure.savefig(draft, format=output.suffix[1:].lower(), dpi=DPI)
    print(f"wrote {output}")
