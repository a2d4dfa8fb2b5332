from itertools import pairwise

import numpy as np
import pytest

from gaze_vlm.kitchen.recipes import (
    AFFORDANCES,
    KINDS,
    POSSIBLE_ACTIONS,
    RECIPE_ACTIONS,
    RECIPE_NAMES,
    RECIPES,
    VERBS,
    random_recipe,
    swap_neighbours,
)


def assert_can_be_done(recipe):
    assert all(action.verb in AFFORDANCES[action.kind] for action in recipe)
    assert len(set(recipe)) == len(recipe)
    assert all(first.kind != second.kind for first, second in pairwise(recipe))
    assert sum(action.verb == "Pick up" for action in recipe) <= 2


def test_every_name_has_a_recipe_that_can_be_done():
    assert len(RECIPES) == len(RECIPE_NAMES) == 6
    for recipe in RECIPES:
        assert len(recipe) == RECIPE_ACTIONS
        assert_can_be_done(recipe)


def test_recipes_together_use_every_verb_and_kind():
    actions = [action for recipe in RECIPES for action in recipe]
    assert {action.verb for action in actions} == set(VERBS)
    assert {action.kind for action in actions} == set(KINDS)
    assert max(actions.count(action) for action in POSSIBLE_ACTIONS) <= 4


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_random_recipes_can_be_done(length):
    rng = np.random.default_rng(0)
    for _ in range(300):
        recipe = random_recipe(rng, length)
        assert len(recipe) == length
        assert_can_be_done(recipe)


def test_swap_exchanges_one_pair_of_neighbours():
    for seed, recipe in enumerate(RECIPES):
        swapped = swap_neighbours(recipe, np.random.default_rng(seed))
        changed = [index for index, (old, new) in enumerate(zip(recipe, swapped, strict=True)) if old != new]
        assert len(changed) == 2
        assert changed[1] == changed[0] + 1
        assert sorted(swapped) == sorted(recipe)
        assert_can_be_done(swapped)
