import numpy as np
import pytest

from gaze_vlm.kitchen.recipes import COLOURS, KINDS, VERBS
from gaze_vlm.pretraining.stills import stills


@pytest.fixture(scope="module")
def some():
    rng = np.random.default_rng(0)
    return [stills(rng, 1)[0] for _ in range(80)]


def test_a_still_is_seeded():
    first, second = stills(np.random.default_rng(5), 1)[0], stills(np.random.default_rng(5), 1)[0]
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.object_map, second.object_map)
    assert first.objects == second.objects


def test_stills_vary_in_what_they_show(some):
    shown = {(kind, colour) for one in some for kind, colour, _, _ in one.objects}
    assert {kind for kind, _ in shown} == set(KINDS)
    assert {colour for _, colour in shown} == set(COLOURS)
    assert {one.verb for one in some} == {*VERBS, None}


def test_the_object_map_is_where_the_picture_has_the_colour(some):
    hits = []
    for one in some:
        for index, (_, colour, _, _) in enumerate(one.objects):
            pixels = one.image[one.object_map == index + 1].astype(float)
            if colour == "white" or len(pixels) < 60:
                continue
            hue = pixels - pixels.mean(axis=1, keepdims=True)
            wanted = np.array(COLOURS[colour]) - np.mean(COLOURS[colour])
            hits.append(np.mean(hue @ wanted > 0.25 * (wanted @ wanted)) > 0.3)
    assert len(hits) > 150
    assert np.mean(hits) > 0.95


def test_objects_lie_where_their_coordinates_say(some):
    for one in some:
        for index, (_, _, x, y) in enumerate(one.objects):
            rows, columns = np.nonzero(one.object_map == index + 1)
            if len(rows) > 100 and 0.15 < x < 0.85 and 0.2 < y < 0.8:
                assert abs(columns.mean() / 128 - x) < 0.1
                assert abs(rows.mean() / 96 - y) < 0.13


def test_several_stills_of_one_kitchen_follow_each_other():
    four = stills(np.random.default_rng(0), frames=4)
    assert len(four) == 4
    assert len({tuple((kind, colour) for kind, colour, _, _ in one.objects) for one in four}) == 1
    assert not np.array_equal(four[0].image, four[3].image)


def test_too_many_stills_are_refused():
    with pytest.raises(ValueError, match="ask for fewer"):
        stills(np.random.default_rng(0), frames=40)
