"""What stands where: the objects of a session, their places on the table, and when each step happens."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gaze_vlm.kitchen.motion import minimum_jerk
from gaze_vlm.kitchen.recipes import AFFORDANCES, COLOURS, KINDS, Step

OBJECT_RADIUS = 0.078
LEAST_DISTANCE = 0.235
LEFT, RIGHT, TOP, BOTTOM = 0.05, 0.97, 0.08, 0.56
TRAY = (-0.02, 0.56, 0.46, 0.78)
"""Left, top, right and bottom in world units: where picked-up objects are put."""
REACH_S = 0.8
"""How long before contact the hand starts, with the tool already in it."""
LEAD_IN_S = 1.8
STEP_S = (4.0, 7.0)


@dataclass(frozen=True)
class Layout:
    """Objects and steps of a session, in world units and seconds.

    `step_start_s` has one entry more than there are steps: the end of the last one. `done_before` names the
    verbs whose marks an object carries from the start on (none in a written session).
    """

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    radius: Float[np.ndarray, "object"]
    place: Float[np.ndarray, "object 2"]
    done_before: tuple[frozenset[str], ...]
    steps: tuple[Step, ...]
    step_object: Int[np.ndarray, "step"]
    step_start_s: Float[np.ndarray, "step_and_end"]

    @property
    def duration_s(self) -> float:
        """The wearer puts the last tool down and rests for a moment after the last step."""
        return float(self.step_start_s[-1]) + REACH_S

    def step_at(self, t_s: float) -> int:
        """Index of the step under way, -1 before the first, the last one after the end."""
        return int(np.searchsorted(self.step_start_s[:-1], t_s, side="right")) - 1

    def done(self, item: int, t_s: float) -> frozenset[str]:
        """Verbs whose marks object `item` shows: a mark appears halfway through its step."""
        now = {verb for other, verb, mark_s in self._marks if other == item and t_s > mark_s}
        return self.done_before[item] | now

    @cached_property
    def _marks(self) -> list[tuple[int, str, float]]:
        half_s = (self.step_start_s[:-1] + self.step_start_s[1:]) / 2
        verbs = [step.verb for step in self.steps]
        return list(zip(self.step_object.tolist(), verbs, half_s.tolist(), strict=True))

    def paths(self, t_s: Float[np.ndarray, "tick"]) -> Float[np.ndarray, "object tick 2"]:
        """Where each object is: still, except that a picked-up one is carried to the tray."""
        paths = np.repeat(self.place[:, None], len(t_s), axis=1)
        picked = 0
        for index, (step, item) in enumerate(zip(self.steps, self.step_object, strict=True)):
            if step.verb != "Pick up":
                continue
            start_s, end_s = self.step_start_s[index], self.step_start_s[index + 1]
            on_tray = np.array([TRAY[0] + 0.13 + 0.22 * picked, (TRAY[1] + TRAY[3]) / 2])
            carried = minimum_jerk((t_s - start_s - 0.3) / (end_s - start_s - 0.6))[:, None]
            paths[item] += (on_tray - self.place[item]) * carried
            picked += 1
        return paths


def lay_out(rng: np.random.Generator, steps: tuple[Step, ...], least_duration_s: float, marks: bool = False) -> Layout:
    """Random objects that `steps` can be done with; with `marks`, some show what was done before."""
    needed = sorted({step.kind for step in steps})
    count = max(len(needed), int(rng.integers(6, 9)))
    others = [kind for kind in rng.permutation(KINDS).tolist() if kind not in needed]
    kinds = tuple(rng.permutation(needed + others[: count - len(needed)]).tolist())
    colours = tuple(rng.choice(list(COLOURS), count).tolist())
    while True:
        step_start_s = LEAD_IN_S + np.concatenate([[0.0], np.cumsum(rng.uniform(*STEP_S, len(steps)))])
        if step_start_s[-1] + REACH_S >= least_duration_s:
            break
    return Layout(
        kinds=kinds,
        colours=colours,
        radius=OBJECT_RADIUS * rng.uniform(0.88, 1.12, count),
        place=_scatter(rng, count),
        done_before=tuple(_earlier_marks(rng, kind, steps) if marks else frozenset() for kind in kinds),
        steps=steps,
        step_object=np.array([kinds.index(step.kind) for step in steps]),
        step_start_s=step_start_s,
    )


def _scatter(rng: np.random.Generator, count: int) -> Float[np.ndarray, "object 2"]:
    """Places clear of the tray and of each other, as far apart as a few tries allow."""
    places: list[tuple[float, float]] = []
    least = LEAST_DISTANCE
    while len(places) < count:
        for x, y in zip(rng.uniform(LEFT, RIGHT, 24).tolist(), rng.uniform(TOP, BOTTOM, 24).tolist(), strict=True):
            clear_of_tray = x > TRAY[2] + 0.06 or y < TRAY[1] - 0.1
            if clear_of_tray and all((x - p) ** 2 + (y - q) ** 2 > least * least for p, q in places):
                places.append((x, y))
                break
        else:
            least *= 0.96
    return np.array(places)


def _earlier_marks(rng: np.random.Generator, kind: str, steps: tuple[Step, ...]) -> frozenset[str]:
    planned = {step.verb for step in steps if step.kind == kind}
    return frozenset(verb for verb in AFFORDANCES[kind] if verb not in planned | {"Pick up"} and rng.random() < 0.15)
