"""The table for readers: one Markdown page of a comparison."""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import isnan, nan

from gaze_vlm.comparison.curve import CurvePoint
from gaze_vlm.comparison.groups import SPLIT_TASKS, oracles_of
from gaze_vlm.comparison.missing import Missing, notice
from gaze_vlm.comparison.runs import METRICS, Run, by_arm
from gaze_vlm.comparison.statistics import LEAST_SESSIONS
from gaze_vlm.comparison.table import Row, Table, points
from gaze_vlm.metrics.scores import HEADLINES, SCORES
from gaze_vlm.runs.prediction import TASKS

PACKAGES = (
    "gaze-vlm-lightning",
    "torch",
    "lightning",
    "transformers",
    "torchmetrics",
    "sentence-transformers",
)
TITLES = {
    "activity": "Activity: the action at the end of the clip",
    "future": "Future: the action that comes",
    "future/same": "Future, part 1: the same action goes on",
    "future/reach": "Future, part 2: the next action, begun within {reach_s:g} s, so that its reach may show",
    "future/unseen": "Future, part 3: the next action, later than {reach_s:g} s, with nothing of it to see",
}
ORACLE_NAMES = {
    "repeat_current": "oracle: repeats the current action",
    "repeat_previous": "oracle: copies the target of the session's previous clip",
    "majority": "oracle: the commonest answer of this test",
}
NOTHING = "—"
INTERVAL = "[95 % interval], p (Holm)"
NO_INTERVAL = "[too few sessions]"
ABSENT = (
    "- Noun: the first noun that the answer names is the target's. Noun anywhere: it names the target's noun at all. "
    "CHAIRs and CHAIRi, where less is better: the share of answers that name an object that nothing annotated around "
    "the clip has, and the share of such objects among all that are named."
)


def package_versions() -> str:
    """Return the versions that a figure depends on, as one line."""
    return ", ".join(f"{package} {version(package)}" for package in PACKAGES)


def headline_metric(runs: Sequence[Run]) -> str:
    """Return noun accuracy where the data set labels nouns, else the semantic score."""
    labelled = any("noun" in prediction.scores for run in runs for prediction in run.predictions)
    return "noun" if labelled else "semantic"


def render(
    table: Table,
    runs: Sequence[Run],
    reach_s: float,
    command: str,
    versions: str,
    curve: Sequence[CurvePoint] = (),
    picture: str | None = None,
    missing: Sequence[Missing] = (),
) -> str:
    """Return the page: facts, tables of each task with its oracles, and the curve.

    Each data set that was tested on has a section of its own; the curve belongs to the first.

    Args:
        table: of the runs.
        runs: that the table was made of.
        reach_s: see `groups.future_group`.
        command: that makes this page again.
        versions: see `package_versions`.
        curve: points of the data-size curve; none leaves the section out.
        picture: file name of the curve's picture, relative to the page.
        missing: what is not among the runs because a command failed.
    """
    lines = notice(missing)
    tests = list(dict.fromkeys((run.dataset, run.trained_on) for run in runs))
    for test in tests:
        of_test = [run for run in runs if (run.dataset, run.trained_on) == test]
        metric = headline_metric(of_test)
        backbones = list(dict.fromkeys(run.backbone for run in of_test))
        if len(backbones) > 1:
            lines += _overview(table, *test, backbones, metric)
        for backbone in backbones:
            own = [run for run in of_test if run.backbone == backbone]
            absent = [
                m
                for m in missing
                if (m.dataset, m.run.dataset, m.run.backbone) == (*test, backbone)
                and m.run.train_clips in (None, own[0].train_clips)
            ]
            lines += [f"# {_tested(*test)}, {backbone}", "", *_facts(table, own, test[0], command, versions), ""]
            for task in SPLIT_TASKS:
                lines += _task(table, test, backbone, task, reach_s, absent)
        if curve and test == tests[0]:
            lines += _curve(curve, table.control, picture)
    return "\n".join(lines).rstrip() + "\n"


def _overview(table: Table, dataset: str, trained_on: str, backbones: Sequence[str], metric: str) -> list[str]:
    """A row a backbone: the headline metric of every arm, the differences, and how far attention is from gaze."""
    lines = [f"# {_tested(dataset, trained_on)}: {len(backbones)} backbones", ""]
    for task in TASKS:
        of_backbone = {backbone: table.of(dataset, backbone, task, trained_on) for backbone in backbones}
        arms = list(dict.fromkeys(arm for rows in of_backbone.values() for arm in rows))
        others = [arm for arm in arms if arm != table.control]
        against = (f"{arm} vs {table.control} {INTERVAL}" for arm in others)
        lines += [f"## {TITLES[task]}: {SCORES[metric].title.lower()}", ""]
        lines += _header(["Backbone", *arms, *against, *(f"KL, {arm}" for arm in arms)])
        for backbone, rows in of_backbone.items():
            shown = {arm: rows.get(arm, {}) for arm in arms}
            cells = [_mean(shown[arm].get(metric)) for arm in arms]
            cells += [_difference(shown[arm].get(metric), table.control) for arm in others]
            lines.append(_line([backbone, *cells, *(_mean(shown[arm].get("attention_kl")) for arm in arms)]))
        lines.append("")
    return lines


def _tested(dataset: str, trained_on: str) -> str:
    return dataset if dataset == trained_on else f"Tested on {dataset}, trained on {trained_on}"


def _facts(table: Table, runs: Sequence[Run], dataset: str, command: str, versions: str) -> list[str]:
    arms = by_arm(runs)
    clips, sessions = table.tested[dataset, "activity"]
    future_clips, _ = table.tested[dataset, "future"]
    return [
        f"- Command: `{command}`",
        f"- Test: {clips:,} clips of {sessions:,} sessions for the activity, {future_clips:,} for the future",
        f"- Seeds: {_by_arm(arms, lambda seeds: ', '.join(map(str, sorted(seeds))))}",
        f"- Train clips: {_by_arm(arms, lambda seeds: _setting(seeds, lambda run: f'{run.train_clips:,}'))}",
        f"- λ: {_by_arm(arms, lambda seeds: _setting(seeds, lambda run: _plain(run.weight)))}",
        f"- ε (floor): {_by_arm(arms, lambda seeds: _setting(seeds, lambda run: _plain(run.floor)))}",
        f"- Versions: {versions}",
        *([ABSENT] if any("noun_absent" in p.scores for run in runs for p in run.predictions) else []),
        "- Numbers are points of a hundred, mean over clips and seeds ± standard deviation over seeds; KL is "
        f"in nats. Differences are paired with `{table.control}` on the same seeds and clips. The interval is a t "
        "interval clustered by session, seeds averaged first, so it holds for these trained seeds. p is two-sided, of "
        "sign flips of whole sessions; Holm's correction is over the arms of one task and score. With fewer than "
        f"{LEAST_SESSIONS} sessions there is neither (docs/scores.md).",
    ]


def _task(
    table: Table,
    test: tuple[str, str],
    backbone: str,
    task: str,
    reach_s: float,
    missing: Sequence[Missing],
) -> list[str]:
    dataset, trained_on = test
    clips, sessions = table.tested[dataset, task]
    title = TITLES[task].format(reach_s=reach_s)
    lines = [f"## {title}", "", f"{clips:,} clips of {sessions:,} sessions.", ""]
    if not clips:
        return lines
    shown = table.of(dataset, backbone, task, trained_on)
    for group, headline in HEADLINES.items():
        grouped = (name for name in METRICS if SCORES[name].group == group)
        if metrics := [name for name in grouped if any(name in rows for rows in shown.values())]:
            oracles = {oracle: table.oracles[dataset, task, oracle] for oracle in oracles_of(task)}
            shown_headline = headline if headline in metrics else metrics[0]
            lines += [*_scores(table, shown, metrics, shown_headline, oracles, missing), ""]
    return lines


def _scores(
    table: Table,
    arms: dict[str, dict[str, Row]],
    metrics: Sequence[str],
    headline: str,
    oracles: dict[str, dict[str, float]],
    missing: Sequence[Missing],
) -> list[str]:
    """A table of one group of scores: a row an arm, and one an oracle that has any of them."""
    references = [name for name in (table.control, table.baseline) if name]
    against = [f"{SCORES[headline].title} vs {name} {INTERVAL}" for name in references]
    lines = _header(["Arm", *(SCORES[name].title for name in metrics), *against])
    lacking = Counter(one.run.arm for one in missing)
    for arm, rows in arms.items():
        cells = [_mean(rows.get(name)) for name in metrics]
        seeds = next(iter(rows.values())).seeds
        short = f" ({seeds} of {seeds + lacking[arm]} seeds)" if lacking[arm] else ""
        cells.append(_difference(rows.get(headline), table.control))
        cells += [_baseline_difference(rows.get(headline))] if table.baseline else []
        lines.append(_line([arm + short, *cells]))
    for arm in lacking:
        if arm not in arms:
            lines.append(_line([f"{arm} (missing)", *(NOTHING for _ in metrics), *(NOTHING for _ in against)]))
    for oracle, scores in oracles.items():
        if not scores.keys().isdisjoint(metrics):
            cells = [f"{scores[name]:z.1f}" if name in scores else NOTHING for name in metrics]
            lines.append(_line([f"*{ORACLE_NAMES[oracle]}*", *cells, *(NOTHING for _ in against)]))
    return lines


def _curve(curve: Sequence[CurvePoint], control: str, picture: str | None) -> list[str]:
    metric = curve[0].metric
    arms = list(dict.fromkeys(point.arm for point in curve))
    others = [arm for arm in arms if arm != control]
    lines = ["## Data-size curve", ""]
    if picture:
        lines += [f"![{SCORES[metric].title} over the number of train clips]({picture})", ""]
    lines += _header(
        [
            "Task",
            "Train clips",
            "Seeds",
            *(f"{arm} [95 % interval]" for arm in arms),
            *(f"{arm} vs {control} [95 % interval]" for arm in others),
        ]
    )
    for task in TASKS:
        for size in sorted({point.train_clips for point in curve}):
            at = {p.arm: p for p in curve if p.task == task and p.train_clips == size}
            seeds = ", ".join(dict.fromkeys(str(point.seeds) for point in at.values()))
            means = [_interval(at.get(arm), metric) for arm in arms]
            lines.append(_line([task, f"{size:,}", seeds, *means, *(_gain(at.get(arm), metric) for arm in others)]))
    return [*lines, ""]


def _header(names: Sequence[str]) -> list[str]:
    return [_line(names), _line(["---", *("---:" for _ in names[1:])])]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean(row: Row | None) -> str:
    if row is None:
        return NOTHING
    decimals = _decimals(row.metric)
    deviation = "" if isnan(row.sd) else f" ± {row.sd:.{decimals}f}"
    return f"{row.mean:z.{decimals}f}{deviation}"


def _difference(row: Row | None, control: str) -> str:
    """The difference from the arm's control, which is named where it is another than the table's."""
    if row is None:
        return NOTHING
    against = "" if row.control in ("", control) else f" (vs {row.control})"
    return _signed(row.metric, row.diff, row.diff_low, row.diff_high, row.p_holm) + against


def _baseline_difference(row: Row | None) -> str:
    if row is None:
        return NOTHING
    return _signed(row.metric, row.baseline_diff, row.baseline_low, row.baseline_high, row.baseline_p_holm)


def _gain(point: CurvePoint | None, metric: str) -> str:
    if point is None or point.difference is None:
        return NOTHING
    gain = point.difference
    return _signed(metric, *(points(metric, value) for value in (gain.mean, gain.low, gain.high)))


def _interval(point: CurvePoint | None, metric: str) -> str:
    if point is None:
        return NOTHING
    mean, low, high = (points(metric, value) for value in (point.mean.mean, point.mean.low, point.mean.high))
    return f"{mean:z.1f} {NO_INTERVAL}" if isnan(low) else f"{mean:z.1f} [{low:z.1f}, {high:z.1f}]"


def _signed(metric: str, mean: float, low: float, high: float, p: float = nan) -> str:
    if isnan(mean):
        return NOTHING
    shown, from_, to = (f"{value:+z.{_decimals(metric)}f}" for value in (mean, low, high))
    if isnan(low):
        return f"{shown} {NO_INTERVAL}"
    return f"{shown} [{from_}, {to}]" + ("" if isnan(p) else f", {p_text(p)}")


def p_text(p: float) -> str:
    """Return a p value as a page shows it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _decimals(metric: str) -> int:
    return 1 if SCORES[metric].in_points else 2


def _by_arm(arms: dict[str, dict[int, Run]], say: Callable[[dict[int, Run]], str]) -> str:
    """What holds for every arm, once where all agree."""
    said = {arm: say(seeds) for arm, seeds in arms.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{arm} {text}" for arm, text in said.items())


def _setting(seeds: dict[int, Run], say: Callable[[Run], str]) -> str:
    return " / ".join(dict.fromkeys(say(run) for run in seeds.values()))


def _plain(value: float | None) -> str:
    return NOTHING if value is None else f"{value:g}"
