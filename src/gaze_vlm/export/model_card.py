"""The model card of an export: what it is, what it can do, and how to load it."""

from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.export_files import ClipShape
from gaze_vlm.comparison.markdown import package_versions
from gaze_vlm.comparison.runs import Run
from gaze_vlm.comparison.statistics import LEAST_SESSIONS
from gaze_vlm.export.card_facts import facts_of, how_gaze, named
from gaze_vlm.export.card_scores import scores_of, tests_of
from gaze_vlm.export.licences import base_licence, base_terms, data_licence, hub_name, is_kitchen
from gaze_vlm.export.loading_code import loading_code, needs_package
from gaze_vlm.foreign_text import in_markdown
from gaze_vlm.gaze.view import View
from gaze_vlm.preparation.records import Manifest
from gaze_vlm.training.configured import ConfiguredTraining
from gaze_vlm.training.export import Form

CARD = "README.md"
TAGS = ["egocentric-video", "gaze", "attention"]


class Ours(str):
    """Text of ours, which is Markdown already."""


def model_card(
    cli: ConfiguredTraining, form: Form, manifest: Manifest | None, clip: ClipShape | None, tested: Run | None
) -> str:
    """Write a run's model card, after the metadata that the model hub reads.

    Names and texts of others stay text.

    Args:
        cli: the loaded run.
        form: of the export.
        manifest: what the run's store says of itself, where it is there.
        clip: the store's clips.
        tested: the run with its answers, where it was tested.

    Raises:
        InputError: a test on another data set cannot be read.
    """
    backbone, data, run = cli.model.backbone, cli.datamodule, cli.options
    questions = [data.prompts[task] for task in data.tasks]
    height_px, width_px = backbone.frame_size_px
    page = _environment().get_template("model_card.md")
    body = page.render(
        title=f"{run.backbone}, {run.arm}, {run.dataset}",
        clip=clip,
        base=named(backbone.options.checkpoint),
        how_gaze=how_gaze(cli.model.regularizer, data),
        form=form,
        why_package=needs_package(backbone, form),
        loads_without_block=backbone.block is not None and form == "whole",
        code=loading_code(backbone, form, questions[0], 1.0 if clip is None else clip.frame_hz),
        max_new_tokens=backbone.options.max_new_tokens,
        sees_all=backbone.options.view == View(),
        height_px=height_px,
        width_px=width_px,
        facts=facts_of(cli, form, tested),
        scores=[] if tested is None else [task for test in tests_of(tested) for task in scores_of(test)],
        least_sessions=LEAST_SESSIONS,
        questions=questions,
        data=data_licence(manifest),
        base_terms=base_terms(backbone.options.checkpoint),
        is_kitchen=manifest is not None and is_kitchen(manifest),
        versions=package_versions(),
    )
    return f"---\n{hub_metadata(backbone, form).to_yaml()}\n---\n\n{body}"


def hub_metadata(backbone: Backbone, form: Form) -> ModelCardData:
    """Return what the model hub finds a model by; nothing in it is free text of others."""
    base = hub_name(backbone.options.checkpoint)
    if needs_package(backbone, form) is not None:
        library = "gaze-vlm-lightning"
    else:
        library = "peft" if form == "adapter" else "transformers"
    relation: dict[str, Any] = {"base_model_relation": "finetune" if form == "whole" else "adapter"} if base else {}
    return ModelCardData(
        base_model=base,
        **relation,
        library_name=library,
        license=base_licence(backbone.options.checkpoint),
        pipeline_tag="video-text-to-text" if backbone.media == "video" else "image-text-to-text",
        tags=TAGS,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gaze_vlm", "export/templates"),
        autoescape=False,  # Markdown, escaped by `finalize`
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Ours | int | float) else in_markdown(value),
    )
    environment.filters["ours"] = Ours
    return environment
