"""What can be done in the kitchen: objects, verbs, what an object affords, and the recipes."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gaze_vlm.kitchen.canvas import Colour

KINDS = ("cup", "bowl", "plate", "bottle", "pan", "jar", "box", "pepper")
COLOURS: dict[str, Colour] = {
    "red": (208, 40, 42),
    "green": (52, 160, 70),
    "blue": (45, 85, 215),
    "yellow": (238, 205, 45),
    "white": (240, 240, 238),
    "purple": (150, 58, 180),
}
VERBS = ("Pick up", "Cut", "Pour into", "Open", "Stir", "Wash")
AFFORDANCES: dict[str, tuple[str, ...]] = {
    "cup": ("Pick up", "Pour into", "Stir", "Wash"),
    "bowl": ("Pick up", "Pour into", "Stir", "Wash"),
    "plate": ("Pick up", "Wash"),
    "bottle": ("Pick up", "Open", "Wash"),
    "pan": ("Pick up", "Pour into", "Stir", "Wash"),
    "jar": ("Pick up", "Open", "Stir"),
    "box": ("Pick up", "Cut", "Open"),
    "pepper": ("Pick up", "Cut", "Wash"),
}
RECIPE_NAMES = ("Breakfast", "GardenSoup", "PickledSalad", "Stew", "AfternoonTea", "PackedLunch")
RECIPE_SEED = 7
RECIPE_ACTIONS = 8
RECIPE_KINDS = 6
MAX_ACTIONS_PER_KIND = 2
TRAY_PLACES = 2
"""How many objects a recipe may pick up: each of them moves to its own place on the tray."""


class RecipeAction(NamedTuple):
    """One thing to do: a verb of `VERBS` and a kind of `KINDS`."""

    verb: str
    kind: str


POSSIBLE_ACTIONS = tuple(RecipeAction(verb, kind) for kind in KINDS for verb in AFFORDANCES[kind])


def noun(colour: str, kind: str) -> str:
    """Name an object as the annotation files spell it."""
    return f"{colour}_{kind}"


NOUNS = tuple(noun(colour, kind) for kind in KINDS for colour in COLOURS)


def random_recipe(rng: np.random.Generator, actions: int = RECIPE_ACTIONS) -> tuple[RecipeAction, ...]:
    """Draw distinct actions in random order, never two in a row on one kind."""
    return _order(rng, list(rng.permutation(len(POSSIBLE_ACTIONS))), actions)


def swap_neighbours(recipe: tuple[RecipeAction, ...], rng: np.random.Generator) -> tuple[RecipeAction, ...]:
    """Swap one pair of neighbouring actions; none if no swap is legal."""
    for first in rng.permutation(len(recipe) - 1):
        swapped = list(recipe)
        swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
        if _kinds_alternate(swapped):
            return tuple(swapped)
    return recipe


def _order(rng: np.random.Generator, preference: list[int], length: int) -> tuple[RecipeAction, ...]:
    """Takes actions in the order of preference within a random choice of kinds, and shuffles them."""
    most = min(MAX_ACTIONS_PER_KIND, (length + 1) // 2)  # else two actions could be two of one kind
    while True:
        kinds = set(rng.permutation(KINDS)[:RECIPE_KINDS].tolist())
        taken: list[RecipeAction] = []
        for index in preference:
            action = POSSIBLE_ACTIONS[index]
            if (
                action.kind in kinds
                and sum(action.kind == other.kind for other in taken) < most
                and (action.verb != "Pick up" or sum(other.verb == "Pick up" for other in taken) < TRAY_PLACES)
            ):
                taken.append(action)
            if len(taken) == length:
                break
        else:
            continue
        for _ in range(20):
            ordered = [taken[index] for index in rng.permutation(length)]
            if _kinds_alternate(ordered):
                return tuple(ordered)


def _kinds_alternate(actions: list[RecipeAction]) -> bool:
    return all(first.kind != second.kind for first, second in pairwise(actions))


def _fixed_recipes() -> tuple[tuple[RecipeAction, ...], ...]:
    """One recipe a name; actions seldom used so far come first, so that each action occurs in few recipes."""
    rng = np.random.default_rng(RECIPE_SEED)
    uses = np.zeros(len(POSSIBLE_ACTIONS))
    recipes = []
    for _ in RECIPE_NAMES:
        preference = np.argsort(uses + 0.9 * rng.random(len(uses)))
        recipe = _order(rng, preference.tolist(), RECIPE_ACTIONS)
        for action in recipe:
            uses[POSSIBLE_ACTIONS.index(action)] += 1
        recipes.append(recipe)
    return tuple(recipes)


RECIPES = _fixed_recipes()
