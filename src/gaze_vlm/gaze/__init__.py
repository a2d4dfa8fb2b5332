"""What gaze is: samples, mixtures, patch distributions, views, occlusion and flow.

Nothing is imported here: preparation runs in many processes, and needs no torch.
"""
