"""One cooking session of one participant: its scene, and what the eye tracker recorded."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from gaze_vlm.kitchen.look import random_look
from gaze_vlm.kitchen.motion import VIEW_HEIGHT
from gaze_vlm.kitchen.recipes import RECIPE_NAMES, RECIPES, noun, swap_neighbours
from gaze_vlm.kitchen.scene import EGTEA_RATES, Rates, Scene, act_out
from gaze_vlm.kitchen.script import random_script
from gaze_vlm.kitchen.wearer import gaze_path

CALIBRATION_SIGMA = 0.02
NOISE_SIGMA = 0.012
NOISE_HZ = 30
DROPOUT = 0.03
BLINK_S = (0.1, 0.25)
BLINK_EVERY_S = 4.0
LEAST_DURATION_S = 30.0
EARLY_END_S = 1.5
LOST = ("-", "Blink")


@dataclass(frozen=True)
class GazeTrack:
    """What the eye tracker recorded, and what the simulation knows about it.

    `xy`: normalised to the frame, (0, 0) where the tracker lost the eye; points outside [0, 1] are kept.
    `event`: `Fixation`, `Saccade`, `Blink` or `-`. `item`: the object that the eyes were on.
    `hidden`: something passing in front of the camera covered the point on that object.
    """

    t_s: Float[np.ndarray, " sample"]
    xy: Float[np.ndarray, "sample 2"]
    event: tuple[str, ...]
    item: Int[np.ndarray, " sample"]
    hidden: Bool[np.ndarray, " sample"]

    @property
    def tracked(self) -> Bool[np.ndarray, " sample"]:
        """Whether the tracker saw the eye."""
        return ~np.isin(self.event, LOST)


@dataclass(frozen=True)
class Session:
    """A participant doing one of the recipes, with video and gaze."""

    seed: int
    participant: int
    recipe: int
    scene: Scene
    gaze: GazeTrack

    @property
    def name(self) -> str:
        """Stem of its files."""
        return session_name(self.participant, self.recipe)

    @property
    def actions(self) -> tuple[tuple[float, float, str, str], ...]:
        """(start_s, end_s, verb label, noun label) of each action."""
        script = self.scene.script
        return tuple(
            (float(start_s), float(end_s), action.verb, noun(script.colours[item], action.kind))
            for start_s, end_s, action, item in zip(
                script.action_start_s, script.action_start_s[1:], script.actions, script.action_object, strict=False
            )
        )


def session_name(participant: int, recipe: int) -> str:
    """Name a session's files; participants and recipes count from 1."""
    return f"P{participant:02d}-R{recipe:02d}-{RECIPE_NAMES[recipe - 1]}"


def simulate_session(
    seed: int, participant: int, recipe: int, gaze_ends_early: bool = False, rates: Rates = EGTEA_RATES
) -> Session:
    """Simulate a session; the same arguments give the same one.

    Args:
        seed: of the whole kitchen.
        participant: from 1; decides skin, sleeve, light and table.
        recipe: from 1 to 6.
        gaze_ends_early: whether the gaze recording stops 1.5 s before the video.
        rates: of the camera and of the eye tracker.
    """
    rng = np.random.default_rng([seed, participant, recipe])
    look = random_look(np.random.default_rng([seed, participant]))
    actions = RECIPES[recipe - 1]
    if rng.random() < 0.5:
        actions = swap_neighbours(actions, rng)
    scene = act_out(rng, random_script(rng, actions, LEAST_DURATION_S), look, rates=rates)
    gaze = record_gaze(rng, scene, EARLY_END_S if gaze_ends_early else 0.0)
    return Session(seed, participant, recipe, scene, gaze)


def record_gaze(rng: np.random.Generator, scene: Scene, early_end_s: float = 0.0) -> GazeTrack:
    """Record the wearer's gaze by a tracker with a calibration bias, noise, blinks and losses."""
    end_s = scene.t_s[-1] - early_end_s
    tick = np.arange(0, len(scene.t_s), scene.rates.tick_hz // scene.rates.gaze_hz)
    tick = tick[scene.t_s[tick] <= end_s]
    t_s = scene.t_s[tick]
    eyes, in_flight = gaze_path(scene.fixations, scene.paths, scene.t_s)
    meant = scene.camera.to_view(eyes[tick], tick)
    view = meant.copy()
    hidden = np.zeros(len(tick), bool)
    for occluder in scene.occluders:
        covered = occluder.covers(t_s, meant)
        hidden |= covered
        if occluder.distracts:
            view[covered] = occluder.centre(t_s[covered]) + rng.normal(0.0, 0.05, 2)
    view += rng.normal(0.0, CALIBRATION_SIGMA, 2) + _noise(rng, t_s, scene.rates.gaze_hz)
    event = np.where(in_flight[tick], "Saccade", "Fixation")
    event[rng.random(len(tick)) < DROPOUT] = "-"
    blink_s = np.cumsum(rng.exponential(BLINK_EVERY_S, 1 + int(2 * end_s / BLINK_EVERY_S)))
    for start_s in blink_s:
        length_s = rng.uniform(*BLINK_S)
        event[(t_s >= start_s) & (t_s < start_s + length_s)] = "Blink"
    xy = view / np.array([1.0, VIEW_HEIGHT])
    xy[np.isin(event, LOST)] = 0.0
    item = scene.fixations.item[scene.fixations.at(t_s)]
    return GazeTrack(t_s, xy, tuple(event.tolist()), item, hidden)


def _noise(rng: np.random.Generator, t_s: Float[np.ndarray, " sample"], gaze_hz: int) -> Float[np.ndarray, "sample 2"]:
    """Noise of about 30 values a second; a faster tracker smooths what it measures."""
    drawn_s = t_s[:: max(1, round(gaze_hz / NOISE_HZ))]
    drawn = rng.normal(0.0, NOISE_SIGMA, (len(drawn_s), 2))
    return np.column_stack([np.interp(t_s, drawn_s, values) for values in drawn.T])
