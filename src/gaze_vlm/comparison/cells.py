"""How numbers of a comparison are written in the cells of a page's tables."""

from math import isnan, nan

from gaze_vlm.comparison.statistics import Estimate
from gaze_vlm.comparison.table import Row, points
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
    return _signed(row.metric, row.diff, row.diff_low, row.diff_high, row.diff_sd, row.p_holm) + against


def baseline_cell(row: Row | None) -> str:
    """Write the difference from the baseline."""
    if row is None:
        return DASH
    return _signed(
        row.metric, row.baseline_diff, row.baseline_low, row.baseline_high, row.baseline_sd, row.baseline_p_holm
    )


def estimate_cell(metric: str, estimate: Estimate | None) -> str:
    """Write a mean with its interval."""
    if estimate is None:
        return DASH
    mean, low, high = (points(metric, value) for value in (estimate.mean, estimate.low, estimate.high))
    shown, from_, to = (f"{value:z.{_decimals(metric)}f}" for value in (mean, low, high))
    return f"{shown} {NO_INTERVAL}" if isnan(low) else f"{shown} [{from_}, {to}]"


def gain_cell(metric: str, estimate: Estimate | None) -> str:
    """Write a difference with its interval."""
    if estimate is None:
        return DASH
    return _signed(metric, *(points(metric, value) for value in (estimate.mean, estimate.low, estimate.high)))


def p_text(p: float) -> str:
    """Return a p value as a page shows it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def duration_text(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _deviation(metric: str, sd: float) -> str:
    return "" if isnan(sd) else f" ± {sd:.{_decimals(metric)}f}"


def _signed(metric: str, mean: float, low: float, high: float, sd: float = nan, p: float = nan) -> str:
    if isnan(mean):
        return DASH
    shown, from_, to = (f"{value:+z.{_decimals(metric)}f}" for value in (mean, low, high))
    shown += _deviation(metric, sd)
    if isnan(low):
        return f"{shown} {NO_INTERVAL}"
    return f"{shown} [{from_}, {to}]" + ("" if isnan(p) else f", {p_text(p)}")


def _decimals(metric: str) -> int:
    return 1 if SCORES[metric].in_points else 2
