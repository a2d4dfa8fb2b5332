"""How numbers of a comparison are written in the cells of a page's tables."""

from math import isnan

from gaze_vlm.comparison.paired import Difference
from gaze_vlm.comparison.statistics import Estimate
from gaze_vlm.comparison.table import Row, estimate_in_points
from gaze_vlm.metrics.scores import DASH, SCORES

INTERVAL = "[95 % interval], p (Holm)"
NO_INTERVAL = "[too few sessions]"


def mean_cell(row: Row | None) -> str:
    """Write a mean, with the standard deviation over seeds."""
    if row is None:
        return DASH
    return f"{row.mean:z.{_decimals(row.metric)}f}{_deviation(row.metric, row.sd)}"


def difference_cell(row: Row | None, control: str) -> str:
    """Write the difference from the arm's control.

    The control is named where it is another than the table's.
    """
    if row is None:
        return DASH
    against = "" if row.control in ("", control) else f" (vs {row.control})"
    return signed(row.metric, row.difference) + against


def baseline_cell(row: Row | None) -> str:
    """Write the difference from the baseline."""
    if row is None:
        return DASH
    return signed(row.metric, row.baseline_difference)


def estimate_cell(metric: str, estimate: Estimate | None) -> str:
    """Write a mean with its interval."""
    if estimate is None:
        return DASH
    one = estimate_in_points(metric, estimate)
    shown, from_, to = (f"{value:z.{_decimals(metric)}f}" for value in (one.mean, one.low, one.high))
    return f"{shown} {NO_INTERVAL}" if isnan(one.low) else f"{shown} [{from_}, {to}]"


def p_text(p: float) -> str:
    """Return a p value as a page shows it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def duration_text(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _deviation(metric: str, sd: float) -> str:
    return "" if isnan(sd) else f" ± {sd:.{_decimals(metric)}f}"


def signed(metric: str, difference: Difference) -> str:
    """Write a difference with its intervals and p, as far as they exist."""
    if isnan(difference.mean):
        return DASH
    mean = f"{difference.mean:+z.{_decimals(metric)}f}"
    if isnan(difference.low):
        return f"{mean} {NO_INTERVAL}"
    p = "" if isnan(difference.p) else f", {p_text(difference.p)}"
    of_seeds = _interval(metric, difference.seeds_low, difference.seeds_high)
    more = "" if isnan(difference.seeds_low) else f"; with other seeds {of_seeds}"
    return f"{mean} {_interval(metric, difference.low, difference.high)}{p}{more}"


def _interval(metric: str, low: float, high: float) -> str:
    return f"[{low:+z.{_decimals(metric)}f}, {high:+z.{_decimals(metric)}f}]"


def _decimals(metric: str) -> int:
    return 1 if SCORES[metric].in_points else 2
