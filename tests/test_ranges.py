"""Every numeric option has a range, and a value outside of it is refused before anything is loaded."""

import math
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch

from gaze_vlm.attention import GazeBlock, GazeRegularizer, NextGazeRegularizer, ReleasedCodeRegularizer
from gaze_vlm.backbones import Llava
from gaze_vlm.backbones.compose import compose_narrator
from gaze_vlm.backbones.lora import Lora
from gaze_vlm.backbones.options import BackboneOptions
from gaze_vlm.comparison.config import load_comparison
from gaze_vlm.datamodules.clips import ClipDataModule
from gaze_vlm.datamodules.gaze_options import GazeNoise, GazeOptions
from gaze_vlm.errors import InputError
from gaze_vlm.forgetting.forgetting import forgetting
from gaze_vlm.inference.caption import caption
from gaze_vlm.inference.windows import WindowTimes
from gaze_vlm.kitchen.build import build_kitchen
from gaze_vlm.look.look import look
from gaze_vlm.metrics.sentence_encoder import MiniLM
from gaze_vlm.preparation.parameters import PreparationParameters
from gaze_vlm.preparation.runner import prepare
from gaze_vlm.pretraining.from_scratch import make_backbone
from gaze_vlm.pretraining.options import FamilyPretraining, Pretraining
from gaze_vlm.pretraining.small_model import make_small_model
from gaze_vlm.report.alignment import picture_alignment
from gaze_vlm.report.attention import picture_attention
from gaze_vlm.report.quality import report_quality
from gaze_vlm.training.module import GazeVLM
from gaze_vlm.training.run_files import RunOptions

NOWHERE = Path("/nowhere")
MADE: dict[Callable[..., Any], dict[str, Any]] = {  # with the options that they need
    ClipDataModule: {"store": NOWHERE},
    GazeOptions: {},
    GazeNoise: {},
    BackboneOptions: {"checkpoint": "nowhere"},
    Lora: {},
    GazeBlock: {"width": 8},
    GazeRegularizer: {},
    NextGazeRegularizer: {},
    ReleasedCodeRegularizer: {"weight": 1.0},
    GazeVLM: {"backbone": Llava("nowhere")},
    PreparationParameters: {},
    RunOptions: {},
    MiniLM: {},
    Pretraining: {},
    FamilyPretraining: {},
    build_kitchen: {"root": NOWHERE},
    prepare: {"dataset": "egtea", "root": NOWHERE, "store": NOWHERE},
    report_quality: {"store": NOWHERE},
    make_backbone: {"output": NOWHERE},
    compose_narrator: {"output": NOWHERE, "vision": "vit", "language": "gpt2"},
    make_small_model: {"output": NOWHERE},
    picture_attention: {"runs": [NOWHERE], "output": NOWHERE},
    picture_alignment: {"runs": [NOWHERE], "output": NOWHERE},
    forgetting: {"runs": [NOWHERE]},
    look: {"model": "nowhere", "prompt": "?"},
    WindowTimes: {"observation_s": 4.0, "stride_s": 1.0, "frame_hz": 1.0},
    caption: {"model": "nowhere", "videos": NOWHERE, "output": NOWHERE},
}
OUTSIDE: dict[str, tuple[float, ...]] = {  # values out of range, by names of options
    "batch_size train_clips clips participants recipes videos frames rank width": (0, -1),
    "depth heads head_width": (0, -1, 2**31),
    "count samples next_heads held_out_clips kept_tokens at_once": (0, -1),
    "max_new_tokens max_target_tokens frame_size_px video_gop": (0, -1),
    "cached_clips shown_samples warmup_steps ratio_every_n_steps seed split_seed": (-1,),
    "steps word_steps encoder_steps alignment_steps workers": (-1,),
    "sigma sigma_scale alpha lr encoder_lr alignment_lr target_ratio": (0.0, -1.0, math.nan),
    "frame_hz frame_epsilon observation_s stride_s decode_timeout_s maps_mb end_s": (0.0, -1.0, math.nan, math.inf),
    "window_s epsilon noise offset weight error_radius anticipation_s": (-0.1, math.nan, math.inf),
    "save_every_minutes features_gb targets_within_s": (-1.0, math.nan),
    "stalled_after_minutes peak_tflops": (0.0, -1.0, math.nan, math.inf),
    "warmup dropped eta max_damaged max_quarantined unreadable_share": (-0.1, 1.1, math.nan),
    "dropout floor": (-0.1, 1.0, math.nan),
    "min_mass_in_view": (0.0, 1.1, math.nan),
    "flow_max_width_px video_short_side_px": (15,),
    "saccade_velocity": (0.0, math.nan),
    "field_of_view_deg": (0.0, 361.0, math.nan),
}
LATER = ("frame",)  # of a picture: held to the frames of a clip


def is_number(hint: Any) -> bool:
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return bool({int, float} & set(kinds)) and set(kinds) <= {int, float, types.NoneType}


def cases() -> list[Any]:
    made = []
    outside = {name: values for names, values in OUTSIDE.items() for name in names.split()}
    for make, needed in MADE.items():
        hints = get_type_hints(make.__init__ if isinstance(make, type) else make)
        for name in (name for name, hint in hints.items() if is_number(hint) and name not in LATER):
            more = {"saccade_velocity": 50.0} if make is PreparationParameters and name == "field_of_view_deg" else {}
            assert name in outside, f"{make.__name__}.{name} has no range: check it in its __init__, and name it here"
            for value in outside[name]:
                made.append(
                    pytest.param(make, {**needed, **more, name: value}, name, id=f"{make.__name__}-{name}-{value}")
                )
    return made


@pytest.mark.parametrize(("make", "options", "name"), cases())
def test_a_number_out_of_range_is_refused(make: Callable[..., Any], options: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=name) as refused:
        make(**options)
    value = options[name]
    assert str(value) in str(refused.value) or repr(value) in str(refused.value)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (BackboneOptions, {"checkpoint": "x", "frame_size_px": (0, 224)}, "frame_size_px is 0"),
        (BackboneOptions, {"checkpoint": "x", "heads": (-1,)}, "heads is -1"),
        (BackboneOptions, {"checkpoint": "x", "block": lambda width: GazeBlock(width, heads=0)}, "heads is 0"),
        (GazeVLM, {"backbone": Llava("x"), "learning_rates": {"vision": 0.0}}, "learning_rates.vision is 0"),
        (GazeRegularizer, {"schedule": "calibrated", "weight": 0.0}, "weight 0"),
        (ClipDataModule, {"store": NOWHERE, "tasks": ()}, "tasks is empty"),
    ],
)
def test_what_is_no_plain_number_is_checked_too(
    make: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(**options)


def test_checking_a_block_draws_nothing() -> None:
    before = torch.get_rng_state()
    BackboneOptions("x", block=GazeBlock)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "key", ["train_clips: 0", "reach_s: -1", "curve: {arms: [a], train_clips: [0]}", "seeds: [-1]"]
)
def test_numbers_of_a_comparison_are_checked(key: str, tmp_path: Path) -> None:
    file = tmp_path / "compare.yaml"
    values = ["dataset: d", "backbone: b", "runs: r", "output: o", "arms: {a: a.yaml}", "control: a", key]
    file.write_text("\n".join(values if key.startswith("train_clips") else [*values, "train_clips: 1"]))
    with pytest.raises(InputError, match=rf"{key.partition(':')[0].removesuffix('s')}"):
        load_comparison(file)
