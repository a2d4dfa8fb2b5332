"""What stands where: the objects of a session, their places on the table, and when each action happens."""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gaze_vlm.kitchen.motion import minimum_jerk
from gaze_vlm.kitchen.recipes import AFFORDANCES, COLOURS, KINDS, RecipeAction

OBJECT_RADIUS = 0.078
LEAST_DISTANCE = 0.235
LEFT, RIGHT, TOP, BOTTOM = 0.05, 0.97, 0.08, 0.56
TRAY = (-0.02, 0.56, 0.46, 0.78)
"""Left, top, right and bottom in world units: where picked-up objects are put."""
REACH_S = 0.8
"""How long before contact the hand starts, with the tool already in it."""
LEAD_IN_S = 1.8
ACTION_S = (4.0, 7.0)


@dataclass(frozen=True)
class Script:
    """Objects and actions of a session, in world units and seconds.

    `action_start_s` has one entry more than there are actions: the end of the last one. `done_before` names the
    verbs whose marks an object carries from the start on (none in a written session).
    """

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    radius: Float[np.ndarray, " object"]
    place: Float[np.ndarray, "object 2"]
    done_before: tuple[frozenset[str], ...]
    actions: tuple[RecipeAction, ...]
    action_object: Int[np.ndarray, " action"]
    action_start_s: Float[np.ndarray, " action_and_end"]

    @property
    def duration_s(self) -> float:
        """Length; after the last action the wearer puts the tool down and rests for a moment."""
        return float(self.action_start_s[-1]) + REACH_S

    def action_at(self, t_s: float) -> int:
        """Return the index of the action under way, -1 before the first."""
        return int(np.searchsorted(self.action_start_s[:-1], t_s, side="right")) - 1

    def done(self, item: int, t_s: float) -> frozenset[str]:
        """Return the verbs whose marks an object shows, each from halfway through its action."""
        marks_s, done = self._marks[item]
        return done[bisect_left(marks_s, t_s)]

    @cached_property
    def _marks(self) -> list[tuple[list[float], list[frozenset[str]]]]:
        """Of each object, when it is marked, and the verbs whose marks it shows before, between and after that."""
        half_s = ((self.action_start_s[:-1] + self.action_start_s[1:]) / 2).tolist()
        marks: list[tuple[list[float], list[frozenset[str]]]] = [([], [before]) for before in self.done_before]
        for item, action, mark_s in zip(self.action_object, self.actions, half_s, strict=True):
            marks_s, done = marks[item]
            marks_s.append(mark_s)
            done.append(done[-1] | {action.verb})
        return marks

    def paths(self, t_s: Float[np.ndarray, " tick"]) -> Float[np.ndarray, "object tick 2"]:
        """Return where each object is: still, or carried to the tray."""
        paths = np.repeat(self.place[:, None], len(t_s), axis=1)
        picked = 0
        for index, (action, item) in enumerate(zip(self.actions, self.action_object, strict=True)):
            if action.verb != "Pick up":
                continue
            start_s, end_s = self.action_start_s[index], self.action_start_s[index + 1]
            on_tray = np.array([TRAY[0] + 0.13 + 0.22 * picked, (TRAY[1] + TRAY[3]) / 2])
            carried = minimum_jerk((t_s - start_s - 0.3) / (end_s - start_s - 0.6))[:, None]
            paths[item] += (on_tray - self.place[item]) * carried
            picked += 1
        return paths


def random_script(
    rng: np.random.Generator, actions: tuple[RecipeAction, ...], least_duration_s: float, marks: bool = False
) -> Script:
    """Draw objects for `actions`; with `marks`, some show what was done before."""
    needed = sorted({action.kind for action in actions})
    count = max(len(needed), int(rng.integers(6, 9)))
    others = [kind for kind in rng.permutation(KINDS).tolist() if kind not in needed]
    kinds = tuple(rng.permutation(needed + others[: count - len(needed)]).tolist())
    colours = tuple(rng.choice(list(COLOURS), count).tolist())
    while True:
        action_start_s = LEAD_IN_S + np.concatenate([[0.0], np.cumsum(rng.uniform(*ACTION_S, len(actions)))])
        if action_start_s[-1] + REACH_S >= least_duration_s:
            break
    return Script(
        kinds=kinds,
        colours=colours,
        radius=OBJECT_RADIUS * rng.uniform(0.88, 1.12, count),
        place=_scatter(rng, count),
        done_before=tuple(_earlier_marks(rng, kind, actions) if marks else frozenset() for kind in kinds),
        actions=actions,
        action_object=np.array([kinds.index(action.kind) for action in actions]),
        action_start_s=action_start_s,
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


def _earlier_marks(rng: np.random.Generator, kind: str, actions: tuple[RecipeAction, ...]) -> frozenset[str]:
    planned = {action.verb for action in actions if action.kind == kind}
    return frozenset(verb for verb in AFFORDANCES[kind] if verb not in planned | {"Pick up"} and rng.random() < 0.15)
