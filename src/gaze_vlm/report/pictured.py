"""Clips of a comparison with gaze, each arm's attention and answers: chosen by rules, shown on one scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup

from gaze_vlm.comparison.runs import Run
from gaze_vlm.metrics.scores import SCORES
from gaze_vlm.report import chosen_clips
from gaze_vlm.report.charts import inline_svg, scale_bar
from gaze_vlm.report.clip_views import ClipView, Picture, gaze_picture, maps_of, view_of
from gaze_vlm.report.compared_attention import attention_of_runs, middle_one
from gaze_vlm.report.headline import Roles


@dataclass(frozen=True)
class ClipSection:
    """Clips that were chosen by one rule."""

    name: str
    title: str
    rule: str
    clips: list[ClipView]


@dataclass(frozen=True)
class Pictured:
    """What running the models gives: the picture at the top, and clips by rule, on one scale."""

    first: list[Picture] = field(default_factory=list)
    bar: Markup | None = None
    seed: int = 0
    sections: list[ClipSection] = field(default_factory=list)


def pictured(
    arms: Mapping[str, dict[int, Run]], roles: Roles, metric: str, task: str, count: int, named: Sequence[str]
) -> Pictured:
    """Choose the clips by their answers to a task, and run every arm's model over them, once."""
    shown = shown_runs(arms, roles)
    if roles.treatment is None or not shown or (count == 0 and not named):
        return Pictured()
    found = chosen_clips.pairs(arms[roles.treatment], arms[roles.control], metric, task)
    title = SCORES[metric].title.lower()
    typical = chosen_clips.typical(found)
    rules = (
        ("named", "Clips asked for", "Named with --clips.", list(named)),
        (
            "gains",
            "Where gaze helped",
            f"The largest gains of {roles.treatment} over {roles.control} in the score “{title}”, one clip a session; "
            "ties go to the answer whose meaning gains more.",
            chosen_clips.gains(found, count),
        ),
        (
            "losses",
            "Failures: where gaze did harm",
            f"The largest losses of {roles.treatment} against {roles.control}, by the same rule.",
            chosen_clips.losses(found, count),
        ),
        (
            "in-vain",
            "Failures: looked right, answered wrong",
            f"Of the clips that {roles.treatment} answers wrong, those in which its attention is nearest to gaze.",
            chosen_clips.looked_in_vain(found, count),
        ),
    )
    ids = list(dict.fromkeys([*typical, *(clip for *_, chosen in rules for clip in chosen)]))
    if not ids:
        return Pictured()
    attention = attention_of_runs({arm: run.directory.path for arm, run in shown.items()}, roles.treatment, ids)
    norm = attention.scale()
    index = {clip.clip_id: position for position, clip in enumerate(attention.clips)}
    first = middle_one(attention, [index[clip_id] for clip_id in typical or ids[:1]], roles.control)
    captions, maps = roles.looks, []
    for one in maps_of(attention, first, norm):
        if one.caption in captions:
            share = attention.share_on_gaze(one.caption, first)
            on_gaze = "" if share is None else f": {100 * share:.0f} % of its attention on gaze"
            maps.append(replace(one, caption=captions[one.caption] + on_gaze))
    sections = [
        ClipSection(name, heading, rule, [view_of(attention, index[clip], norm, shown) for clip in chosen])
        for name, heading, rule, chosen in rules
        if chosen
    ]
    bar = inline_svg(scale_bar(norm), "scale", "Scale of attention and gaze", "From clear, none, to dark red, most.")
    return Pictured([gaze_picture(attention, first), *maps], bar, shown[roles.treatment].seed, sections)


def shown_runs(arms: Mapping[str, dict[int, Run]], roles: Roles) -> dict[str, Run]:
    """Return the run of each arm whose attention is shown.

    It is of the first seed that treatment and control share.
    """
    treated, untreated = (arms.get(arm or "", {}) for arm in (roles.treatment, roles.control))
    seed = next((seed for seed in treated if seed in untreated), None)
    return {} if seed is None else {arm: seeds[seed] for arm, seeds in arms.items() if seed in seeds}
