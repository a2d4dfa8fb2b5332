"""Pictures of runs, and a page on the gaze of a store."""
