"""Models that their user loaded through `transformers`: attention and targets from the processor's own inputs."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor, CLIPImageProcessor
from transformers.video_utils import VideoMetadata

from backbone_checks import SILENT
from backbone_families import FAMILIES, FRAMES, Family, make_backbone, make_clip
from gaze_vlm import Box, FrameRegions, GazeMixture, GazeRegularizer, PatchTargets, View, capture_attention
from gaze_vlm.attention.sources import Tower
from gaze_vlm.backbones import Backbone
from gaze_vlm.backbones.layout import processed_view
from gaze_vlm.backbones.loading import checkpoint_activations, save_checkpoint
from gaze_vlm.backbones.placement import place_frames
from gaze_vlm.backbones.plain import family_of_model
from gaze_vlm.datamodules.clip import IGNORED, Clip
from gaze_vlm.errors import InputError

NARRATOR = "narrator"
IMAGE = {"qwen": "<|vision_start|><|image_pad|><|vision_end|>", "internvl": "<IMG_CONTEXT>"}
ANSWERS = ("cut onion", "pick up red cup", "cut red cup")


def load(checkpoint: Path) -> tuple[Any, Any]:
    """As users do."""
    return AutoModelForImageTextToText.from_pretrained(checkpoint), AutoProcessor.from_pretrained(checkpoint)


def processed(backbone: Backbone, processor: Any, clips: list[Clip]) -> tuple[dict[str, Tensor], Tensor]:
    """Clips through the model's own processor, and the labels of their answers."""
    frames = [clip.frames for clip in clips]
    media: dict[str, Any] = {"images": [list(one) for one in frames]}
    if backbone.media == "video":
        times = VideoMetadata(fps=2.5, frames_indices=[1, 2, 3, 4], total_num_frames=FRAMES)
        media = {"videos": [[one] for one in frames], "video_metadata": [times] * len(clips)}
    texts, labels = [], []
    for clip in clips:
        content = [{"type": backbone.media}] * (1 if backbone.media == "video" else FRAMES)
        chat: list[Any] = [{"role": "user", "content": [*content, {"type": "text", "text": clip.prompt}]}]
        chat.append({"role": "assistant", "content": [{"type": "text", "text": clip.target}]})
        texts.append(processor.apply_chat_template(chat, tokenize=False))
    inputs = processor(text=texts, return_tensors="pt", padding=True, **media, **backbone.collator().image_options)
    for ids, clip in zip(inputs["input_ids"], clips, strict=True):  # padded on the left
        words = len(clip.target.split()) + 1  # an end of text
        labels.append(torch.cat([torch.full_like(ids[:-words], IGNORED), ids[-words:]]))
    return dict(inputs), torch.stack(labels)


@pytest.mark.parametrize("tower", ["language", "vision"])
def test_a_plain_model_looks_as_the_backbone_does(family: Family, checkpoint: Path, tower: Tower) -> None:
    if family.name == NARRATOR:
        with pytest.raises(InputError, match="reads frames by cross-attention"):
            PatchTargets(*family.build(), tower)
        return
    layers: Any = {"language_layers": "all"} if tower == "language" else {"vit_layers": "all"}
    backbone = make_backbone(family, checkpoint, None, **layers)
    height, width = backbone.frame_size_px
    clips = [make_clip(seed, answer) for seed, answer in enumerate(ANSWERS)]
    for clip in clips:  # of the model's size, which neither of the two resizes
        clip.frames = clip.frames[..., :height, :width].contiguous()
        clip.gaze = replace(clip.gaze, aspect=width / height)
    batch = backbone.collator()(clips)
    output = backbone(batch)
    model, processor = load(checkpoint)
    inputs, labels = processed(backbone, processor, clips)
    with capture_attention(model, "all", tower) as captured:
        loss = model(**inputs, labels=labels).loss
    (attention,) = captured.attention({**inputs, "labels": labels})
    targets = PatchTargets(model, processor, tower)(inputs, [clip.gaze for clip in clips])
    assert attention.grid == backbone.grid
    assert (attention.log_probs.exp() - output.attention.log_probs.exp()).abs().max() < 1e-6
    assert torch.equal(targets["gaze"], batch.gaze.flatten(0, 1))
    assert torch.equal(targets["gaze_valid"], batch.valid.flatten())
    regularizer = GazeRegularizer(weight=2.0)
    frames, valid = regularizer(output.attention, batch.gaze, batch.valid)
    expected = output.cross_entropy.sum() / output.tokens + 2.0 * frames.sum() / valid
    assert (loss + regularizer.loss([attention], **targets)).item() == pytest.approx(expected.item(), rel=1e-6)


def lit_pictures(sizes: list[tuple[int, int]]) -> tuple[list[Tensor], list[Tensor], list[FrameRegions]]:
    """Dark pictures, the same with a bright square, and targets on the squares."""
    draw = torch.Generator().manual_seed(0)
    dark, lit, targets = [], [], []
    for height, width in sizes:
        top, left = (int(torch.randint(2, side - 8, (), generator=draw)) for side in (height, width))
        dark.append(torch.full((3, height, width), 20, dtype=torch.uint8))
        lit.append(dark[-1].clone())
        lit[-1][:, top : top + 6, left : left + 6] = 255
        box = Box(left / width, top / height, (left + 6) / width, (top + 6) / height)
        targets.append(FrameRegions([[box]], sigma=0.02, aspect=width / height))
    return dark, lit, targets


def visual_tokens(model: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    """The visual tokens of each frame as the language model reads them."""
    family = family_of_model(model)
    seen: list[Tensor] = []
    hook = family.parts()["language"][0].register_forward_pre_hook(
        lambda _, __, named: seen.append(named["inputs_embeds"]), with_kwargs=True
    )
    with hook, torch.no_grad():
        model(**inputs)
    return [
        seen[0][place.sample, place.position : place.position + len(place.grid("language"))]
        for place in place_frames(family, inputs)
    ]


def test_targets_fall_where_the_processor_puts_the_picture(family: Family, checkpoint: Path) -> None:
    """Resized, cropped, padded and cut into tiles as the processor does by itself, for pictures of several sizes."""
    if family.name == NARRATOR:
        pytest.skip("it reads frames by cross-attention")
    model, processor = load(checkpoint)
    known = family_of_model(model)
    known.parts()["vision"][0].set_attn_implementation(SILENT)  # type: ignore[operator]
    sizes = [(64, 118), (126, 70), (80, 80)] * 5
    if family.name in ("llava", "llava-dinov2"):
        processor.image_processor.size = {"shortest_edge": 48}
        processor.image_processor.do_center_crop = True
    if family.name == "smolvlm2":
        processor.image_processor.size = {"longest_edge": 100}  # two tiles a side
    if family.name.startswith("qwen"):  # by itself it would make tiny pictures large
        for part in (processor.image_processor, processor.video_processor):
            part.size = {"shortest_edge": 32**2, "longest_edge": 64**2}
    dark, lit, targets = lit_pictures(sizes)
    of_video = family.options.get("media") == "video" or family.name == "llava-next-video"
    made = []
    for pictures in (dark, lit):
        if of_video:  # of two frames alike
            texts = [processor.video_token if "qwen3" in family.name else _video(family)] * len(sizes)
            media: dict[str, Any] = {"videos": [torch.stack([one, one]) for one in pictures]}
            media["video_metadata"] = [VideoMetadata(fps=2.0, frames_indices=[0, 1], total_num_frames=2)] * len(sizes)
        else:
            image = next((text for name, text in IMAGE.items() if family.name.startswith(name)), "<image>")
            texts, media = [f"{image} what"] * len(sizes), {"images": [[one] for one in pictures]}
        made.append(dict(processor(text=texts, return_tensors="pt", padding=True, **media)))
    if of_video:
        targets = [FrameRegions([*one.frames] * 2, one.sigma, one.aspect) for one in targets]
    check_lit(model, processor, made, targets)


def check_lit(model: Any, processor: Any, made: list[dict[str, Tensor]], targets: list[FrameRegions]) -> None:
    """The visual token that a square moves most is the one that has the target's mass."""
    gaze = PatchTargets(model, processor)(made[1], targets)
    before, after = (visual_tokens(model, inputs) for inputs in made)
    decided = 0
    for mass, valid, was, now in zip(gaze["gaze"], gaze["gaze_valid"], before, after, strict=True):
        if valid and mass.max() > 0.9:  # else the square lies on a border
            assert (now - was).norm(dim=-1).argmax() == mass.argmax()
            decided += 1
    assert decided >= 4


@pytest.mark.parametrize("name", ["llava-onevision", "internvl3"])
def test_pictures_of_one_text_and_frames_of_a_video(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """OneVision pads several pictures to squares and cuts none; InternVL marks each frame of a video."""
    model, processor = _saved(name, tmp_path_factory)
    family_of_model(model).parts()["vision"][0].set_attn_implementation(SILENT)  # type: ignore[operator]
    dark, lit, targets = lit_pictures([(64, 118), (126, 70)] * 6 if name == "llava-onevision" else [(64, 118)] * 12)
    made = []
    for pictures in (dark, lit):
        pairs = [pictures[i : i + 2] for i in range(0, 12, 2)]
        media: dict[str, Any] = {"images": pairs, "text": ["<image> <image> what"] * 6}
        if name == "internvl3":
            media = {"videos": [torch.stack(pair) for pair in pairs], "text": ["<video> what"] * 6}
        made.append(dict(processor(return_tensors="pt", padding=True, **media)))
    check_lit(model, processor, made, targets)


def _video(family: Family) -> str:
    return "<|vision_start|><|video_pad|><|vision_end|>" if "qwen" in family.name else "<video>"


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A Qwen2.5-VL, whose grids vary by image; not to be changed."""
    return _saved("qwen2.5-vl-image", tmp_path_factory)


@pytest.fixture
def llava(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    return _saved("llava", tmp_path_factory)


def _saved(name: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp(name)
    save_checkpoint(*next(family for family in FAMILIES if family.name == name).build(), folder)
    return load(folder)


def chats(processor: Any, texts: list[str], sizes: list[list[tuple[int, int]]]) -> dict[str, Tensor]:
    """Texts with pictures of noise; every token that is no picture's is an answer's."""
    draw = torch.Generator().manual_seed(1)
    images = [
        [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=draw) for size in of_text] for of_text in sizes
    ]
    inputs = dict(processor(text=texts, images=images, return_tensors="pt", padding=True))
    own = (
        processor.tokenizer.pad_token_id,
        *processor.tokenizer.convert_tokens_to_ids(list(IMAGE["qwen"].split("><"))),
    )
    visual = inputs["input_ids"] == processor.image_token_id
    labels = inputs["input_ids"].masked_fill(visual | (inputs["input_ids"] == own[0]), IGNORED)
    return {**inputs, "labels": labels}


@pytest.mark.parametrize("tower", ["language", "vision"])
def test_grids_that_vary_by_image(qwen: tuple[Any, Any], tower: Tower) -> None:
    model, processor = qwen
    image, sizes = IMAGE["qwen"], [[(64, 96)], [(96, 64), (64, 64)], [(64, 96)]]
    texts = [f"{image} cut onion", f"{image}{image} cup", f"{image} pick up red cup"]

    def attend(which: list[int]) -> tuple[list[Any], dict[str, Tensor]]:
        inputs = chats(processor, [texts[i] for i in which], [sizes[i] for i in which])
        with capture_attention(model, [-1], tower) as captured, torch.no_grad():
            model(**inputs)
        gaze = [GazeMixture(torch.rand(len(sizes[i]), 1, 2), torch.ones(len(sizes[i]), 1), 0.02, 1.5) for i in which]
        return captured.attention(inputs), PatchTargets(model, processor, tower)(inputs, gaze)

    attention, targets = attend([0, 1, 2])
    grids = [one.grid for one in attention]
    assert [(grid.rows > grid.columns) - (grid.rows < grid.columns) for grid in grids] == [-1, 1, 0, -1]
    assert torch.allclose(targets["gaze"].sum(-1), torch.ones(4))
    assert [int(row.nonzero().max()) < len(grid) for row, grid in zip(targets["gaze"], grids, strict=True)] == [
        True
    ] * 4
    with torch.no_grad():
        loss = GazeRegularizer().loss(attention, **targets)
    alone = [
        GazeRegularizer()(one, row[None, None, : len(one.grid)], torch.ones(1, 1, dtype=torch.bool))[0]
        for one, row in zip(attention, targets["gaze"], strict=True)
    ]
    assert loss.item() == pytest.approx(torch.stack(alone).mean().item(), abs=1e-6)
    first, _ = attend([0])  # the same picture: the draw begins with it
    assert torch.allclose(first[0].log_probs, attention[0].log_probs, atol=1e-5)


def test_an_answer_before_an_image_does_not_look_at_it(qwen: tuple[Any, Any]) -> None:
    model, processor = qwen
    image = IMAGE["qwen"]
    inputs = chats(processor, [f"{image} cut {image} onion cup"], [[(64, 64), (64, 64)]])
    with capture_attention(model, [0]) as captured, torch.no_grad():
        model(**inputs)
    both = captured.attention(inputs)
    later = inputs["labels"].clone()
    later[0, : int((inputs["input_ids"][0] == processor.image_token_id).nonzero().max()) + 1] = IGNORED
    with capture_attention(model, [0]) as captured, torch.no_grad():
        model(**inputs)
    assert torch.equal(captured.attention({**inputs, "labels": later})[0].log_probs, both[0].log_probs)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # what peft reads
def test_wrapped_checkpointed_models_train_the_same(llava: tuple[Any, Any]) -> None:
    plain, processor = llava
    lora = LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|k_proj)", init_lora_weights=False)
    torch.manual_seed(0)
    model = get_peft_model(plain, lora)
    inputs = chats(processor, ["<image> cut onion"] * 2, [[(48, 48)]] * 2)
    gaze = [GazeMixture(torch.tensor([[[0.3, 0.6]]]), torch.ones(1, 1), 0.02, 1.0)] * 2
    targets = PatchTargets(model, processor)(inputs, gaze)

    def gradients() -> list[Tensor]:
        model.zero_grad()
        with capture_attention(torch.nn.DataParallel(model), "all", heads=[1, 0]) as captured:
            model(**inputs)
        (attention,) = captured.attention(inputs)
        assert attention.log_probs.shape == (2, 1, 4, 16)
        GazeRegularizer().loss([attention], **targets).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    expected = gradients()
    assert len(expected) > 2
    model.train()
    checkpoint_activations(plain)
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(gradients(), expected, strict=True))


def test_the_last_words_of_errors(llava: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    model, processor = llava
    inputs = chats(processor, ["<image> cut onion", "<image> cup"], [[(48, 48)]] * 2)
    gaze = GazeMixture(torch.full((1, 1, 2), 0.5), torch.ones(1, 1), 0.02, 1.0)
    targets = PatchTargets(model, processor)

    def attention(**options: Any) -> Any:
        with capture_attention(model, [0], **options) as captured:
            model(**inputs)
        return captured

    without = {name: value for name, value in inputs.items() if name != "labels"}
    with pytest.raises(InputError, match="inputs has no labels"):
        attention().attention(without)
    with pytest.raises(InputError, match="sample 1 has no label behind its last image"):
        attention().attention(
            {**inputs, "labels": inputs["labels"] * torch.tensor([[1], [0]]) + torch.tensor([[0], [-100]])}
        )
    with pytest.raises(InputError, match=r"heads \[9\]: the attention has 4 heads"):
        attention(heads=[9]).attention(inputs)
    with (
        pytest.raises(InputError, match="layers 5: the model's layers to choose from are 0, 1"),
        capture_attention(model, [5]),
    ):
        pass
    with pytest.raises(InputError, match="layers is empty"), capture_attention(model, []):
        pass
    words = {**inputs, "input_ids": torch.full_like(inputs["input_ids"], 9)}
    for refused in (lambda: attention().attention(words), lambda: targets(words, [])):
        with pytest.raises(InputError, match="there is no image in the batch"):
            refused()
    with pytest.raises(InputError, match="sample 1 has 1 frames, its targets have 0"):
        targets(inputs, [gaze])
    with pytest.raises(InputError, match="there are 3 targets, more than the batch has frames"):
        targets(inputs, [gaze] * 3)
    with pytest.raises(InputError, match="sample 0 ends within the tokens of an image"):
        targets({"input_ids": inputs["input_ids"][:, :9]}, [gaze] * 2)
    with pytest.raises(InputError, match="share above 0"):
        PatchTargets(model, processor, min_mass_in_view=0)
    captured = attention().attention(inputs)
    one = PatchTargets(model, processor)(chats(processor, ["<image> cup"], [[(48, 48)]]), [gaze])
    with pytest.raises(InputError, match="attention is of 2 frames of 16 patches at most, gaze of 1 frames"):
        GazeRegularizer().loss(captured, **one)
    model.requires_grad_(False)
    frozen = attention().attention(inputs)
    with pytest.raises(InputError, match="the divergence has no gradient"):
        GazeRegularizer().loss(frozen, **targets(inputs, [gaze] * 2))
    assert GazeRegularizer(0.0).loss(frozen, **targets(inputs, [gaze] * 2)) == 0
    with pytest.raises(InputError, match="has no language head"):
        family_of_model(model.model)
    with pytest.raises(InputError, match="Linear is no model of `transformers`"):
        family_of_model(torch.nn.Linear(1, 1))
    assert len(pickle.dumps(targets.family)) < 50_000  # without weights


@pytest.mark.parametrize(
    ("aspect", "own", "left"),
    [
        (2.0, {"size": {"shortest_edge": 48}, "do_center_crop": True}, View(0.25, 0, 0.75, 1)),
        (0.5, {"size": {"shortest_edge": 60}, "do_center_crop": True}, View(0.1, 0.3, 0.9, 0.7)),
        (2.0, {"size": {"height": 48, "width": 48}, "do_center_crop": False}, View()),
        (1.0, {"size": {"height": 24, "width": 24}, "do_center_crop": True}, View(-0.5, -0.5, 1.5, 1.5)),
    ],
)
def test_what_a_processor_leaves_of_a_frame(aspect: float, own: dict[str, Any], left: View) -> None:
    processor = CLIPImageProcessor(crop_size={"height": 48, "width": 48}, **own)
    made = processed_view(processor, aspect)
    assert (made.left, made.top, made.right, made.bottom) == pytest.approx(
        (left.left, left.top, left.right, left.bottom)
    )
    assert processed_view(CLIPImageProcessor(do_center_crop=False), 2.0, is_padded=True) == View(0, -0.5, 1, 1.5)
    processor.do_resize = False
    if processor.do_center_crop:
        with pytest.raises(InputError, match="crops and does not resize"):
            processed_view(processor, aspect)
