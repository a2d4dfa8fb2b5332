"""The camera wearer: what the eyes are on, where the hand goes, and what the eye tracker records."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from gaze_vlm.kitchen.motion import minimum_jerk
from gaze_vlm.kitchen.script import REACH_S, Script

ON_TARGET, LOOK_AHEAD = 0.84, 0.09
FIXATION_S = (0.25, 0.45)
GAZE_LEAD_S = (0.4, 1.0)
"""How long before contact the eyes turn to the next object; the hand leaves `REACH_S` before it."""
SACCADE_S = 0.05
HAND_OFFSET = (0.045, 0.105)
"""From an object to the hand that works on it: the object stays visible."""


@dataclass(frozen=True)
class Fixations:
    """What was looked at: start in seconds, object, and where on it (world units from its centre)."""

    start_s: Float[np.ndarray, " fixation"]
    item: Int[np.ndarray, " fixation"]
    offset: Float[np.ndarray, "fixation 2"]

    def at(self, t_s: Float[np.ndarray, " tick"]) -> Int[np.ndarray, " tick"]:
        """Return the index of the fixation that is under way."""
        return np.searchsorted(self.start_s, t_s, side="right") - 1


def look_around(rng: np.random.Generator, script: Script) -> Fixations:
    """Move the eyes to the next object before the hand, now and then ahead or elsewhere."""
    turn_s = script.action_start_s[:-1] - rng.uniform(*GAZE_LEAD_S, len(script.actions))
    starts, items = [], []
    t_s = 0.0
    while t_s < script.duration_s:
        action = int(np.searchsorted(turn_s, t_s, side="right")) - 1
        chance = rng.random()
        if action >= 0 and chance < ON_TARGET:
            item = script.action_object[action]
        elif action >= 0 and chance < ON_TARGET + LOOK_AHEAD:
            item = script.action_object[min(action + 1, len(turn_s) - 1)]
        else:
            item = rng.integers(len(script.kinds))
        starts.append(t_s)
        items.append(item)
        end_s = t_s + rng.uniform(*FIXATION_S)
        if action + 1 < len(turn_s) and t_s < turn_s[action + 1] < end_s:
            end_s = turn_s[action + 1]
        t_s = end_s
    return Fixations(np.array(starts), np.array(items), rng.normal(0.0, 0.018, (len(starts), 2)))


def gaze_path(
    fixations: Fixations, paths: Float[np.ndarray, "object tick 2"], t_s: Float[np.ndarray, " tick"]
) -> tuple[Float[np.ndarray, "tick 2"], Bool[np.ndarray, " tick"]]:
    """Return the looked-at point in the world, and whether the eye is moving to it."""
    now = fixations.at(t_s)
    before = np.maximum(now - 1, 0)
    tick = np.arange(len(t_s))
    here = paths[fixations.item[now], tick] + fixations.offset[now]
    there = paths[fixations.item[before], tick] + fixations.offset[before]
    jumped = minimum_jerk((t_s - fixations.start_s[now]) / SACCADE_S)
    in_flight = (jumped < 1) & (fixations.item[now] != fixations.item[before])
    return there + (here - there) * jumped[:, None], in_flight


@dataclass(frozen=True)
class HandPath:
    """The working hand, a row a tick: place in the world, turn in radians, the action it serves (-1: none)."""

    xy: Float[np.ndarray, "tick 2"]
    angle: Float[np.ndarray, " tick"]
    action: Int[np.ndarray, " tick"]
    elbow: Float[np.ndarray, "2"]

    def verb(self, script: Script, tick: int) -> str | None:
        """Return the verb whose tool is in the hand, None for an empty one."""
        action = int(self.action[tick])
        return None if action < 0 else script.actions[action].verb


def move_hand(
    rng: np.random.Generator, script: Script, paths: Float[np.ndarray, "object tick 2"], t_s: Float[np.ndarray, " tick"]
) -> HandPath:
    """Move the hand to each object in turn, there at the start of its action."""
    rest = np.array([rng.uniform(0.62, 0.92), rng.uniform(0.66, 0.72)])
    bow = rng.normal(0.0, 0.03, 2)
    stroke = _Stroke(
        offset=np.array(HAND_OFFSET) + rng.normal(0.0, 0.01, 2),
        hertz=rng.uniform(1.2, 2.0),
        phase=rng.uniform(0.0, 2 * np.pi),
    )
    xy = np.repeat(rest[None], len(t_s), axis=0)
    angle, action_of = np.zeros(len(t_s)), np.full(len(t_s), -1)

    def working(action: int, ticks: slice) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= action < len(script.actions):
            still = np.zeros(ticks.stop - ticks.start)
            return np.repeat(rest[None], len(still), axis=0), still
        item_path = paths[script.action_object[action], ticks]
        return stroke.over(script.actions[action].verb, item_path, t_s[ticks])

    leave_s = script.action_start_s - REACH_S
    leave_s[-1] += REACH_S  # the last tool is put down after the end of its action
    leave = np.append(np.searchsorted(t_s, leave_s), len(t_s))
    for action in range(len(script.actions) + 1):
        ticks = slice(leave[action], leave[action + 1])
        reached = minimum_jerk((t_s[ticks] - leave_s[action]) / REACH_S)[:, None]
        (start, start_angle), (goal, goal_angle) = working(action - 1, ticks), working(action, ticks)
        xy[ticks] = start + (goal - start) * reached + 4 * reached * (1 - reached) * bow
        angle[ticks] = start_angle * (1 - reached[:, 0]) + goal_angle * reached[:, 0]
        action_of[ticks] = action if action < len(script.actions) else -1
    elbow = np.array([rng.uniform(0.8, 1.05), 1.12])
    return HandPath(xy, angle, action_of, elbow)


@dataclass(frozen=True)
class _Stroke:
    """How a hand moves at its work."""

    offset: Float[np.ndarray, "2"]
    hertz: float
    phase: float

    def over(
        self, verb: str, item_path: Float[np.ndarray, "tick 2"], t_s: Float[np.ndarray, " tick"]
    ) -> tuple[Float[np.ndarray, "tick 2"], Float[np.ndarray, " tick"]]:
        """Return where a hand is that works on an object with a verb, and how it is turned."""
        swing = 2 * np.pi * self.hertz * t_s + self.phase
        sin, cos, still = np.sin(swing), np.cos(swing), np.zeros(len(t_s))
        move_x, move_y, angle = {
            "Pick up": (still, still, still),
            "Cut": (still, 0.04 * sin, still),
            "Pour into": (still + 0.03, still - 0.015, 0.35 * np.sin(0.4 * swing)),
            "Open": (still, still, 0.5 * sin),
            "Stir": (0.03 * cos, 0.03 * sin, still),
            "Wash": (0.045 * sin, still, still),
        }[verb]
        return item_path + self.offset + np.column_stack([move_x, move_y]), angle
