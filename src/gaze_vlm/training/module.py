"""GazeVLM: the LightningModule that owns the gaze regularizer and the scores."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from transformers import get_scheduler

from gaze_vlm.attention.regularizer import GazeRegularizer
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.datamodules.clip import Batch, StepTotals, Task, known_tasks
from gaze_vlm.errors import InputError
from gaze_vlm.formats.vocabulary import Vocabulary
from gaze_vlm.metrics.semantic import Encoder, default_encoder
from gaze_vlm.precision import upcast
from gaze_vlm.ranges import above_zero, at_least, in_unit_interval
from gaze_vlm.training.checkpoint import check_belongs, trainable_state
from gaze_vlm.training.evaluation import Evaluation
from gaze_vlm.training.finite import refuse_unfinite_weights
from gaze_vlm.training.gradient_ratio import gradient_ratio
from gaze_vlm.training.together import of_all

LearningRateSchedule = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt"
]
FLOOR = 1e-3  # of the reported scores where no regularizer states one


class GazeVLM(L.LightningModule):
    """Trains L = cross-entropy + λ · KL(attention ‖ gaze), and scores free generation.

    Both terms are normalised over all batches of an optimiser step, on all processes (by answer tokens and by valid
    frames): accumulated batches and many processes train as one large batch would. Gaze meets attention in the
    regularizer and nowhere else.

    Args:
        backbone: the vision-language model.
        regularizer: the pull toward gaze; None trains on the cross-entropy alone.
        task_weights: factor of λ for the clips of a task; a task that is left out has 1.
        optimizer: makes the optimiser from the trainable parameters.
        learning_rates: of some parts (`vision`, `projector`, `language`, `block`); the others have the optimiser's own.
        schedule: learning-rate schedule over the whole run, by its name in `transformers`: those that take the
            numbers of steps alone.
        warmup: share of the run over which the learning rate rises.
        ratio_every_n_steps: how often the ratio of the two losses' gradient norms is measured, which takes two more
            backward passes; 0 never. A calibrated λ moves as often.
        encoder: sentence encoder of the semantic score, and of BERTScore where it is a `TokenEncoder` too; None is
            all-MiniLM-L6-v2 from an installed package, which is both.
    """

    strict_loading = False  # checkpoints hold the trainable parameters; `check_belongs` sees to the rest

    def __init__(
        self,
        backbone: Backbone,
        regularizer: GazeRegularizer | None = None,
        task_weights: dict[Task, float] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        learning_rates: dict[str, float] | None = None,
        schedule: LearningRateSchedule = "cosine",
        warmup: float = 0.1,
        ratio_every_n_steps: int = 200,
        encoder: Encoder | None = None,
    ) -> None:
        super().__init__()
        in_unit_interval(warmup=warmup)
        at_least(0, ratio_every_n_steps=ratio_every_n_steps)
        known_tasks(task_weights=task_weights)
        at_least(0, **{f"task_weights.{task}": weight for task, weight in (task_weights or {}).items()})
        above_zero(**{f"learning_rates.{part}": rate for part, rate in (learning_rates or {}).items()})
        if regularizer is not None and regularizer.schedule == "calibrated" and not ratio_every_n_steps:
            raise InputError("schedule is calibrated and ratio_every_n_steps 0: λ would never move; set it to 50, say")
        if regularizer is not None and regularizer.is_active and not backbone.has_attention_source:
            raise InputError(
                f"the regularizer has weight (λ) {regularizer.configured_weight}, but the backbone hands over no "
                "attention: give it a `block`, `vit_layers` or `language_layers`, or set `regularizer: null`"
            )
        self.backbone = backbone
        self.regularizer = regularizer
        self.task_weights = task_weights or {}
        self.make_optimizer = optimizer
        self.learning_rates = learning_rates or {}
        self.schedule: LearningRateSchedule = schedule
        self.warmup = warmup
        self.ratio_every_n_steps = ratio_every_n_steps
        self.encoder = encoder or default_encoder()
        self.labels: Vocabulary | None = None  # of the data set, which the command line hands over
        self.fixations_of_sessions: Callable[..., Mapping[str, Tensor]] | None = None  # the datamodule's, too
        self.evaluation: Evaluation | None = None  # the one under way, or the last
        self.answers: list[dict[str, str]] = []  # of `predict`
        self.made_by: dict[str, Any] = {}  # what checkpoints say of the run; the command line knows it
        self.losses: dict[str, Tensor] = {}  # of the samples of the last training batch
        self.of_step: dict[str, Tensor] = {}
        self.row: dict[str, Tensor] = {}  # to be logged with the step under way
        self.is_to_stop = False  # once the step under way is whole

    def configure_model(self) -> None:
        self.backbone.load()

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer_of(self.parameter_groups())
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = get_scheduler(
            self.schedule, optimizer, num_warmup_steps=round(self.warmup * steps), num_training_steps=steps
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        # A checkpoint brings the rate of its next step, which another length of the run changes.
        scheduler: Any = self.lr_schedulers()
        rates = zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        for group, (rate, share) in zip(scheduler.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share(scheduler.last_epoch)

    def optimizer_of(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """Make the optimiser of groups of parameters.

        Raises:
            InputError: it does not take its options, such as a learning rate below 0.
        """
        try:
            return self.make_optimizer(groups)
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"model.optimizer: {error}; correct it") from error

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the trainable parameters: parts with a learning rate, and the rest.

        Raises:
            InputError: a learning rate of a part that there is not, or without a trainable parameter.
        """
        groups = []
        rest = {p: None for p in self.parameters() if p.requires_grad}
        parts = self.backbone.trainable_parameters()
        for part, rate in self.learning_rates.items():
            if not parts.get(part):
                trainable = ", ".join(part for part, parameters in parts.items() if parameters)
                raise InputError(
                    f"learning_rates names {part}, of which nothing is trainable: trainable are {trainable}"
                )
            groups.append({"params": parts[part], "lr": rate})
            for parameter in parts[part]:
                del rest[parameter]
        return [{"params": list(rest)}, *groups] if rest else groups

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output, totals = self.backbone(batch), batch.totals
        self.losses = {"cross-entropy": output.cross_entropy.detach()}
        tokens, valid = self.mean_over_processes(torch.stack([totals.tokens, totals.valid]))
        # Lightning divides the loss by the number of batches that it accumulates.
        cross_entropy = totals.batches * output.cross_entropy.sum() / tokens
        of_step = {"cross_entropy": cross_entropy / totals.batches}
        if self.regularizer is None or output.attention is None:
            self.log_step(of_step, totals)
            return cross_entropy
        weight = self.regularizer.weight_at(self.global_step)
        with torch.set_grad_enabled(self.regularizer.is_active):
            frames, _ = self.regularizer(output.attention, batch.gaze, batch.valid)
            self.losses["divergence"] = frames.detach()
            if self.task_weights:
                frames = frames * frames.new_tensor([[self.task_weights.get(clip.task, 1.0)] for clip in batch.clips])
            # Without a valid frame the sum is 0; else there is one on at least one process.
            divergence = totals.batches * frames.sum() / valid.clamp_min(1 / self.trainer.world_size)
        of_step["divergence"] = divergence / totals.batches
        first = totals.position == 0
        if first:
            of_step |= {"lambda": weight.clone(), "valid_frames": totals.valid / totals.frames}
        if not self.regularizer.is_active:
            self.log_step(of_step, totals)
            return cross_entropy
        if not divergence.requires_grad:
            raise InputError(
                "the divergence has no gradient: nothing trainable lies below the regularized attention. "
                "Train the part it comes from (`train: [vision, …]` for vit_layers), or regularize a `block`"
            )
        if first and self.ratio_every_n_steps and self.global_step % self.ratio_every_n_steps == 0:
            of_step["gradient_ratio"] = gradient_ratio(self, cross_entropy, weight * divergence)
            self.regularizer.calibrate(of_step["gradient_ratio"])
            weight = self.regularizer.weight_at(self.global_step)  # the same for all batches of the step
        self.log_step(of_step, totals)
        return cross_entropy + weight * divergence

    def log_step(self, values: dict[str, Tensor], totals: StepTotals) -> None:
        """Log the sums over the batches of an optimiser step, of all processes, with its last batch.

        Steps between `log_every_n_steps` are left out, unless a ratio was measured: Lightning's bookkeeping takes a
        twentieth of a small model's step.
        """
        if totals.position == 0:
            self.of_step, self.row = {}, {}
        for name, value in values.items():
            self.of_step[name] = self.of_step.get(name, 0.0) + value.detach()
        every_n_steps: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        is_written = every_n_steps > 0 and (self.global_step + 1) % every_n_steps == 0
        if totals.position == totals.batches - 1 and (is_written or "gradient_ratio" in self.of_step):
            # Each process has its share of a sum, times the number of processes.
            means = self.mean_over_processes(torch.stack([upcast(value) for value in self.of_step.values()]))
            self.row = {f"train/{name}": value for name, value in zip(self.of_step, means, strict=True)}
            for name, value in self.row.items():
                shown = name in ("train/cross_entropy", "train/divergence")
                self.log(name, value, prog_bar=shown, logger=False, batch_size=1)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Lightning would write the row after callbacks have saved the step: a process killed in between would lose it.
        if self.row:
            row = {"epoch": self.current_epoch, **{name: float(value) for name, value in self.row.items()}}
            for logger in self.loggers:
                logger.log_metrics(row, step=self.global_step)
                logger.save()

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        # `max_time` may be up within a step, and no checkpoint holds the gradients of the batches that were made of it.
        self.is_to_stop |= self.trainer.should_stop
        self.trainer.should_stop = self.is_to_stop and batch.totals.position == batch.totals.batches - 1

    def mean_over_processes(self, value: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes."""
        return self.trainer.strategy.reduce(value.detach().clone(), reduce_op="mean")

    # Validation and test: free generation.

    def on_validation_epoch_start(self) -> None:
        assert self.labels is not None
        self.evaluation = None  # the last one's goes before this begins
        floor = FLOOR if self.regularizer is None else self.regularizer.floor
        self.evaluation = Evaluation(self.backbone, self.encoder, self.labels, floor, self.fixations())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert self.evaluation is not None
        self.evaluation.score(batch)

    def on_validation_epoch_end(self) -> None:
        assert self.evaluation is not None
        for name, value in self.evaluation.finish().items():
            self.log(f"{self.evaluated}/{name}", value, prog_bar=name == "score")

    on_test_epoch_start, test_step = on_validation_epoch_start, validation_step
    on_test_epoch_end = on_validation_epoch_end

    @property
    def evaluated(self) -> Literal["validation", "test"]:
        """What the evaluation under way is of."""
        return "test" if self.trainer.testing else "validation"

    def fixations(self) -> Mapping[str, Tensor] | None:
        """Return where each session that is evaluated looks; None where that is not known, or nothing attends."""
        backbone = self.backbone
        if self.fixations_of_sessions is None or backbone.source is None:
            return None
        least = backbone.options.min_mass_in_view
        return self.fixations_of_sessions(self.evaluated, backbone.grid, backbone.covered_view, least)

    def on_predict_epoch_start(self) -> None:
        self.answers = []

    def predict_step(self, batch: Batch, batch_idx: int) -> list[dict[str, str]]:
        answers = [
            {"clip_id": clip.clip_id, "task": clip.task, "prediction": answer}
            for clip, answer in zip(batch.clips, self.backbone.generate(batch), strict=True)
        ]
        self.answers += answers
        return answers

    def on_predict_epoch_end(self) -> None:
        self.answers = sorted(of_all(self.answers), key=lambda one: (one["clip_id"], one["task"]))

    # Checkpoints: trainable weights, and what they belong to.

    def identity(self) -> dict[str, Any]:
        """Return plain values by which a checkpoint is recognised."""
        backbone, regularizer = self.backbone, self.regularizer
        block, lora = backbone.block, backbone.options.lora
        return {
            "backbone": type(backbone).__name__,
            "grid": str(backbone.grid),
            "block": None if block is None else block.output,
            "block_settings": None if block is None else str(block.settings),
            "lora": None if lora is None else str(lora),
            "lora_alpha": None if lora is None else float(lora.alpha),
            "base_checkpoint": backbone.options.checkpoint,
            "view": str(backbone.options.view),
            "media": getattr(backbone, "media", None),
            "lambda": None if regularizer is None else regularizer.configured_weight,
            "floor": None if regularizer is None else regularizer.floor,
            "made_by": self.made_by,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = trainable_state(self)
        refuse_unfinite_weights(state, f"step {self.trainer.global_step}, no checkpoint is written", everywhere=True)
        checkpoint["state_dict"] = state
        checkpoint["gaze_vlm"] = self.identity()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        resumes = self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
        check_belongs(checkpoint, self.identity(), trainable_state(self), resumes)
