"""What lmms-eval finds by its entry point `lmms_eval.models`: a model of ours under the name `gaze_vlm`."""

from typing import Any


def manifest() -> Any:
    """Return lmms-eval's manifest of the model; it is imported when an evaluation asks for it."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="gaze_vlm", chat_class_path="gaze_vlm.inference.lmms_eval_model.GazeVlmForEvaluation")
