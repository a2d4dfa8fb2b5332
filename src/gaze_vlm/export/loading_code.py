"""The lines of Python that load an export and ask it, for its model card."""

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.narrator import Narrator
from gaze_vlm.gaze.view import View
from gaze_vlm.shipped.checkpoints import shipped_checkpoints
from gaze_vlm.training.export import Form

OURS = """\
import gaze_vlm
from gaze_vlm.inference.clips import answer, clip_of_frames

backbone = gaze_vlm.load_backbone({folder})
times_s = [number / {rate} for number in range(1, len(frames) + 1)]
clip = clip_of_frames(frames, times_s, {question})
print(answer(backbone, [clip])[0])
"""
PLAIN = """\
{imports}

{load}
processor = AutoProcessor.from_pretrained({folder})

frames = resize(frames, [{height}, {width}], antialias=True)
content = [{media}, {{"type": "text", "text": {question}}}]
chat = [{{"role": "user", "content": content}}]
text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
{inputs}
made = model.generate(**inputs)
print(processor.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
"""
WHOLE = "model = AutoModelForImageTextToText.from_pretrained({folder})"
ADAPTER = """\
base = AutoModelForImageTextToText.from_pretrained({base})
base.generation_config = GenerationConfig.from_pretrained({folder})
model = PeftModel.from_pretrained(base, {folder})"""
IMAGES = 'inputs = processor(text=text, images=list(frames), return_tensors="pt"{options})'
VIDEO = """\
times = VideoMetadata(total_num_frames=len(frames), fps={rate}, frames_indices=list(range(1, len(frames) + 1)))
inputs = processor(text=text, videos=[[frames]], video_metadata=[times], return_tensors="pt")"""
NOT_KEPT = ("crop_to_patches",)
"""Options whose default is the processor's class's, whatever its folder says."""


def needs_package(backbone: Backbone, form: Form) -> str | None:
    """Say why `transformers` alone cannot load an export; None where it can, with peft for an adapter."""
    if isinstance(backbone, Narrator):
        return "`transformers` has no place for the order of the narrator's frames"
    if backbone.block is not None:
        return (
            "the gaze block stands between the vision tower and the language model, where `transformers` has no place "
            "for it"
        )
    if backbone.options.view != View():
        return "the model sees a part of each frame, which its processor cannot cut out"
    if form == "adapter" and backbone.options.checkpoint in shipped_checkpoints():
        return "its base model ships with this package"
    return None


def loading_code(backbone: Backbone, form: Form, question: str, rate_hz: float, folder: str = ".") -> str:
    """Return Python that loads an export and answers a question about `frames`.

    `frames` is uint8 [frame, 3, height, width] in RGB, of any size.

    Args:
        backbone: what is exported.
        form: of the export.
        question: that is asked.
        rate_hz: how many frames there are a second.
        folder: where the export is.
    """
    rate = f"{rate_hz:g}"
    here, asked = literal(folder), literal(question)
    if needs_package(backbone, form) is not None:
        return OURS.format(folder=here, question=asked, rate=rate)
    collator = backbone.collator()
    is_video, is_adapter = collator.media == "video", form == "adapter"
    options = {name: value for name, value in collator.image_options.items() if name in NOT_KEPT}
    return PLAIN.format(
        imports=_imports(is_video, is_adapter),
        load=(ADAPTER if is_adapter else WHOLE).format(folder=here, base=literal(backbone.options.checkpoint)),
        folder=here,
        height=collator.height_px,
        width=collator.width_px,
        media='{"type": "video"}' if is_video else '*[{"type": "image"}] * len(frames)',
        question=asked,
        inputs=VIDEO.format(rate=rate)
        if is_video
        else IMAGES.format(options="".join(f", {name}={value}" for name, value in options.items())),
    )


def literal(text: str) -> str:
    """Return a text as Python writes it, in one line, where it can be in double quotes."""
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written


def _imports(is_video: bool, is_adapter: bool) -> str:
    names = ["AutoModelForImageTextToText", "AutoProcessor", *(["GenerationConfig"] if is_adapter else [])]
    return "\n".join(
        [
            *(["from peft import PeftModel"] if is_adapter else []),
            "from torchvision.transforms.v2.functional import resize",
            f"from transformers import {', '.join(names)}",
            *(["from transformers.video_utils import VideoMetadata"] if is_video else []),
        ]
    )
