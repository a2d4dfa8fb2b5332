"""Pictures that commands write."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.text import Text

from gaze_vlm.gaze.lettering import boxes_said, font_families
from gaze_vlm.output import draft_of, writing

KINDS = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
DPI = 110


def save(figure: Figure, output: Path) -> None:
    """Write a figure, of the kind that the file's name says, all or nothing.

    Its letters are of the fonts of `text_image`.

    Raises:
        OutputError: the file system refused.
    """
    for text in figure.findobj(Text):
        text.set_fontfamily(font_families())
    with draft_of(output) as draft, writing(output), boxes_said():
        figure.savefig(draft, format=output.suffix[1:].lower(), dpi=DPI)
    print(f"wrote {output}")
