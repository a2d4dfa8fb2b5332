"""Vision-language models for egocentric video that learn where to look from the wearer's gaze."""
