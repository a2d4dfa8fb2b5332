"""What a comparison lacks because a command failed, for the page and for the last line of `gaze-vlm compare`."""

from collections.abc import Sequence
from typing import NamedTuple

from gaze_vlm.comparison.planned_runs import PlannedRun
from gaze_vlm.foreign_text import in_markdown


class Missing(NamedTuple):
    """A run that was not trained, or not tested on `dataset`; `reason` names the log."""

    run: PlannedRun
    dataset: str
    reason: str

    def __str__(self) -> str:
        run = self.run
        clips = "all" if run.train_clips is None else f"{run.train_clips:,}"
        return (
            f"{run.arm} ({run.backbone}, {clips} train clips), seed {run.seed}, tested on {self.dataset}: {self.reason}"
        )


def notice(missing: Sequence[Missing]) -> list[str]:
    """Markdown for the head of the page; nothing where nothing is missing."""
    if not missing:
        return []
    lacks = f"**Incomplete: {how_many(missing)} missing.**"
    compared = "Arms are compared with the control on the seeds that both have."
    return [f"{lacks} {compared}", "", *(f"- {in_markdown(str(one))}" for one in missing), ""]


def how_many(missing: Sequence[Missing]) -> str:
    """Say how many results are missing."""
    return "1 result is" if len(missing) == 1 else f"{len(missing)} results are"
