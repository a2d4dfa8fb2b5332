"""Join a vision tower and a language model into one checkpoint, ordinary to `transformers`: what joins them is new."""

from pathlib import Path
from typing import Any

import timm
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    TimmWrapperConfig,
    TimmWrapperModel,
    VisionEncoderDecoderModel,
    VisionTextDualEncoderProcessor,
    ViTImageProcessor,
)

from gaze_vlm.backbones.tiny_llava import save

# The prompt, a new line, the answer: GPT-2 has no template of its own.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% if message['role'] == 'user' %}{{ '\\n' }}{% endif %}{% endfor %}"
)


def compose_narrator(
    output: Path, vision: str, language: str, frame_size_px: int | None = None, pretrained: bool = True
) -> Path:
    """Join a vision transformer of timm and a GPT-2 into a narrator's checkpoint.

    The decoder's cross-attention is new. Its output begins at zero, so that GPT-2 begins as it was.

    Args:
        output: folder of the checkpoint; a new one, or empty.
        vision: name of a vision transformer in timm, such as `vit_base_patch16_224`.
        language: folder or hub name of a GPT-2 with its tokenizer.
        frame_size_px: side of a frame; the tower's own by default.
        pretrained: load timm's weights from the hub; random ones need no download.

    Raises:
        ValueError: timm has no such vision transformer, the language model is no GPT-2, or the folder is not empty.
        FileNotFoundError: weights that cannot be reached.
    """
    if output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} is not empty: delete it or choose another folder")
    options = {} if frame_size_px is None else {"img_size": frame_size_px}
    tower = timm_tower(vision, pretrained, **options)
    try:
        kind = AutoConfig.from_pretrained(language).model_type
    except OSError as error:
        raise FileNotFoundError(
            f"language {language}: no such folder, and no hub checkpoint of this name can be reached"
        ) from error
    if kind != "gpt2":
        raise ValueError(f"language {language} is a {kind}: a narrator needs a GPT-2, which takes cross-attention")
    decoder = GPT2LMHeadModel.from_pretrained(language, add_cross_attention=True, is_decoder=True)
    for name, parameter in decoder.named_parameters():
        if name.endswith("crossattention.c_proj.weight"):
            nn.init.zeros_(parameter)
    save(*join_narrator(tower, decoder, AutoTokenizer.from_pretrained(language)), output)
    return output


def timm_tower(architecture: str, pretrained: bool = False, **options: Any) -> TimmWrapperModel:
    """A vision transformer of timm as a model of `transformers`; `options` are those of its own constructor.

    Raises:
        ValueError: timm has no model of this name, or it is no plain vision transformer.
        FileNotFoundError: there are no pretrained weights, or they cannot be reached.
    """
    if not timm.is_model(architecture):
        raise ValueError(f"vision {architecture}: timm {timm.__version__} has no such model, see `timm.list_models`")
    tower = TimmWrapperModel(TimmWrapperConfig(architecture=architecture, do_pooling=False, model_args=options))
    model = tower.timm_model
    if not all(hasattr(model, name) for name in ("num_prefix_tokens", "blocks")):
        raise ValueError(
            f"vision {architecture}: its patches do not stay in one sequence, in which each attends to all; "
            "choose a plain vision transformer, such as vit_base_patch16_224"
        )
    tower.config.hidden_size = model.num_features
    if pretrained:
        try:
            weights = timm.create_model(architecture, pretrained=True, num_classes=0, **options).state_dict()
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"vision {architecture}: its pretrained weights cannot be reached; --pretrained false draws random ones"
            ) from error
        model.load_state_dict(weights)
    return tower


def join_narrator(
    tower: TimmWrapperModel, decoder: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[VisionEncoderDecoderModel, ProcessorMixin]:
    """Model and processor of a tower and a GPT-2 that has cross-attention."""
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.chat_template = tokenizer.chat_template or PLAIN_TEMPLATE
    decoder.config.pad_token_id = tokenizer.pad_token_id
    model = VisionEncoderDecoderModel(encoder=tower, decoder=decoder)
    model.config.decoder_start_token_id = tokenizer.bos_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    pixels, (height, width) = tower.timm_model.pretrained_cfg, tower.timm_model.patch_embed.img_size
    image_processor = ViTImageProcessor(
        size={"height": height, "width": width}, image_mean=list(pixels["mean"]), image_std=list(pixels["std"])
    )
    return model, VisionTextDualEncoderProcessor(image_processor, tokenizer)
