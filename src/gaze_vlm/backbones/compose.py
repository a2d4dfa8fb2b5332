"""Join a vision tower and a language model into an ordinary checkpoint; what joins them is new."""

from functools import partial
from pathlib import Path
from typing import Any

import timm
from torch import nn
from transformers import (
    AutoTokenizer,
    GPT2LMHeadModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    TimmWrapperConfig,
    TimmWrapperModel,
    VisionEncoderDecoderModel,
    VisionTextDualEncoderProcessor,
    ViTImageProcessor,
)

from gaze_vlm.backbones.checkpoint_files import check_read
from gaze_vlm.backbones.loading import OWN_CODE, READ, config_of, reached, save_checkpoint
from gaze_vlm.errors import InputError, MissingFileError
from gaze_vlm.output import check_new_folder
from gaze_vlm.ranges import at_least

# The prompt, a new line, the answer: GPT-2 has no template of its own.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% if message['role'] == 'user' %}{{ '\\n' }}{% endif %}{% endfor %}"
)
IMAGE = "<image>"
CHATML_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
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
        InputError: timm has no such vision transformer, the language model is no GPT-2, or the folder is not empty.
        MissingFileError: weights that cannot be reached.
    """
    check_new_folder(output)
    at_least(1, frame_size_px=frame_size_px)
    options = {} if frame_size_px is None else {"img_size": frame_size_px}
    tower = timm_tower(vision, pretrained, **options)
    config = config_of(language)
    if (kind := config.model_type) != "gpt2":
        raise InputError(f"language {language} is a {kind}: a narrator needs a GPT-2, which takes cross-attention")
    config.is_decoder = config.add_cross_attention = True
    decoder, info = reached(language, partial(GPT2LMHeadModel.from_pretrained, config=config, **READ))
    check_read(language, {**info, "missing_keys": {name for name in info["missing_keys"] if "cross" not in name}})
    for name, parameter in decoder.named_parameters():
        if name.endswith("crossattention.c_proj.weight"):
            nn.init.zeros_(parameter)
    tokenizer = reached(language, partial(AutoTokenizer.from_pretrained, **OWN_CODE))
    save_checkpoint(*join_narrator(tower, decoder, tokenizer), output)
    return output


def timm_tower(architecture: str, pretrained: bool = False, **options: Any) -> TimmWrapperModel:
    """Wrap a vision transformer of timm as a model of `transformers`.

    `options` are those of its own constructor.

    Raises:
        InputError: timm has no model of this name, or it is no plain vision transformer.
        MissingFileError: there are no pretrained weights, or they cannot be reached.
    """
    if not timm.is_model(architecture):
        raise InputError(f"vision {architecture}: timm {timm.__version__} has no such model, see `timm.list_models`")
    tower = TimmWrapperModel(TimmWrapperConfig(architecture=architecture, do_pooling=False, model_args=options))
    model = tower.timm_model
    if not all(hasattr(model, name) for name in ("num_prefix_tokens", "blocks")):
        raise InputError(
            f"vision {architecture}: its patches do not stay in one sequence, in which each attends to all; "
            "choose a plain vision transformer, such as vit_base_patch16_224"
        )
    tower.config.hidden_size = model.num_features
    if pretrained:
        try:
            weights = timm.create_model(architecture, pretrained=True, num_classes=0, **options).state_dict()
        except (OSError, RuntimeError) as error:
            raise MissingFileError(
                f"vision {architecture}: its pretrained weights cannot be reached; --pretrained false draws random ones"
            ) from error
        model.load_state_dict(weights)
    return tower


def join_llava(
    tower: PreTrainedModel, language: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, image_processor: Any
) -> tuple[LlavaForConditionalGeneration, ProcessorMixin]:
    """Join a vision tower and a language model into a LLaVA with its processor.

    The tower's sequence begins with a class token (CLIP's, DINOv2's). The projector is new and random; it reads the
    tower's last layer.

    The tokenizer gets an `<image>`, and ChatML's template with it.
    """
    tokenizer.add_tokens([IMAGE], special_tokens=True)
    tokenizer.padding_side = "left"
    vision = tower.config
    config = LlavaConfig(
        vision_config=vision,
        text_config=language.config,
        image_token_index=tokenizer.get_vocab()[IMAGE],
        vision_feature_layer=-1,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        tie_word_embeddings=language.config.tie_word_embeddings,
    )
    model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.generation_config = language.generation_config
    processor = LlavaProcessor(
        image_processor=image_processor,
        tokenizer=tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy="default",
        chat_template=CHATML_TEMPLATE,
        image_token=IMAGE,
        num_additional_image_tokens=1,
    )
    return model, processor


def join_narrator(
    tower: TimmWrapperModel, decoder: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[VisionEncoderDecoderModel, ProcessorMixin]:
    """Join a tower and a GPT-2 that has cross-attention into a model with its processor."""
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
