"""The embedded data set: rendered cooking sessions with simulated gaze, a fixture for the method."""
