import numpy as np

from gaze_vlm.kitchen.motion import VIEW_HEIGHT, Camera, follow, minimum_jerk, smooth_walk


def test_minimum_jerk_runs_from_rest_to_rest():
    progress = np.linspace(-0.5, 1.5, 2001)
    reached = minimum_jerk(progress)
    assert np.all(reached[progress <= 0] == 0)
    np.testing.assert_allclose(reached[progress >= 1], 1)
    np.testing.assert_allclose(minimum_jerk(np.array([0.5])), 0.5)
    speed = np.gradient(reached, progress)
    assert abs(speed[np.searchsorted(progress, 0.001)]) < 0.01
    assert np.all(speed > -1e-9)


def test_smooth_walk_has_the_stated_spread_and_no_jumps():
    t_s = np.arange(0, 400, 1 / 120)
    walk = smooth_walk(np.random.default_rng(0), t_s, 0.05, 0.5, 2)
    assert walk.shape == (len(t_s), 2)
    assert 0.035 < walk.std() < 0.055
    assert np.abs(np.diff(walk, axis=0)).max() < 0.02


def test_the_middle_of_the_view_is_where_the_camera_looks():
    camera = Camera(centre=np.array([[0.3, 0.2]]), roll=np.array([0.4]), zoom=np.array([1.3]))
    np.testing.assert_allclose(camera.to_view(np.array([0.3, 0.2]), 0), [0.5, VIEW_HEIGHT / 2])


def test_roll_and_zoom_keep_squares_square():
    camera = Camera(centre=np.array([[0.3, 0.2]]), roll=np.array([0.4]), zoom=np.array([1.3]))
    right, down = camera.to_view(np.array([[0.4, 0.2], [0.3, 0.3]]), 0) - [0.5, VIEW_HEIGHT / 2]
    np.testing.assert_allclose([np.hypot(*right), np.hypot(*down)], 0.13)
    np.testing.assert_allclose(right @ down, 0, atol=1e-12)


def test_the_matrix_of_a_camera_is_its_map():
    rng = np.random.default_rng(1)
    t_s = np.arange(0, 3, 1 / 120)
    camera = follow(rng, t_s, rng.random((len(t_s), 2)))
    world = rng.random((7, 2))
    turn = camera.affine(100)
    np.testing.assert_allclose(world @ turn[:, :2].T + turn[:, 2], camera.to_view(world, 100))


def test_the_head_follows_the_gaze_late_and_in_part():
    t_s = np.arange(0, 12, 1 / 120)
    target = np.where(t_s[:, None] < 6, [0.1, 0.36], [0.9, 0.36])
    camera = follow(np.random.default_rng(0), t_s, target)
    before, soon, late = (camera.centre[(t_s > low) & (t_s < low + 1), 0].mean() for low in (5, 6, 10))
    assert before < soon < late
    assert 0.2 < late - before < 0.45
