"""`--trainer.strategy=fsdp2`: weights, gradients and optimiser state in shards, one a process (`fully_shard`)."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy, StrategyRegistry
from torch import Tensor, nn
from torch.distributed import ProcessGroup, get_rank, get_world_size
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.optim import Optimizer

from gaze_vlm.backbones.base import Backbone
from gaze_vlm.backbones.parts import count_numbers
from gaze_vlm.errors import InputError
from gaze_vlm.output import kept
from gaze_vlm.training.checkpoint_files import CheckpointFiles
from gaze_vlm.training.sharded_checkpoint import Place, StagedCheckpoint, read_sharded, whole
from gaze_vlm.training.sharded_tensors import optimized_parameters, sharded_like, sharded_state
from gaze_vlm.training.together import together

FSDP2 = "fsdp2"
IN_32_BITS = MixedPrecisionPolicy(cast_forward_inputs=False)
STEPS = ("training_step", "validation_step", "test_step", "predict_step")


class FSDP2Strategy(ModelParallelStrategy):
    """Shard a model's weights, gradients and optimiser state over all processes.

    A layer of the language model is gathered while it runs, the rest for a step. A frozen vision tower stays whole on
    each process, since they run it for different numbers of clips. A checkpoint is a folder of shards; one that
    another strategy wrote is read too.

    Args:
        reshard_after_forward: free a layer of the language model after its forward pass, and gather it again for the
            backward pass. False keeps it until then, which takes memory and less time.
    """

    def __init__(self, reshard_after_forward: bool = True) -> None:
        super().__init__()
        self.reshard_after_forward = reshard_after_forward
        self.writers: ProcessGroup | None = None  # all processes, from the first checkpoint on

    def setup_environment(self) -> None:
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes, 1
        super().setup_environment()

    def model_to_device(self) -> None:
        """Shard the model, and move it."""
        if not isinstance(self.model, FSDPModule):  # a test after a training finds it sharded
            policy = mixed_precision(self.precision_plugin.precision)
            shard(self.model, self.device_mesh["data_parallel"], policy, self.reshard_after_forward)
        super().model_to_device()

    def teardown(self) -> None:
        self.checkpoint_io.teardown()
        super().teardown()

    # Checkpoints: nothing is gathered.

    lightning_restore_optimizer = True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return {}  # `GazeVLM.on_save_checkpoint` adds what is trainable

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer._optimizer
        return optimizer.state_dict()

    @property
    def files(self) -> CheckpointFiles:
        """What reads and writes checkpoints."""
        return cast(CheckpointFiles, self.checkpoint_io)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        staged = StagedCheckpoint(checkpoint)
        # A thread writes: its messages must not meet those of the training.
        group = self.writers = self.writers or cast(ProcessGroup, torch.distributed.new_group(backend="gloo"))
        self.files.begin(lambda: staged.write(Path(filepath), group))

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = True) -> dict[str, Any]:
        self.files.wait()
        path = kept(Path(checkpoint_path))
        if not path.is_dir():
            return Strategy.load_checkpoint(self, path, weights_only)
        assert self.model is not None
        own_shard = partial(self.own_shard_of, self.model.state_dict())
        with together(None, InputError):
            return read_sharded(path, own_shard, slice(get_rank(), None, get_world_size()))

    def own_shard_of(
        self, weights: Mapping[str, Tensor], place: Place, described: TensorStorageMetadata
    ) -> Tensor | None:
        """Return an empty tensor for this process's shard of a stored one; None for an optimiser that there is not.

        Of another shape than here, it is the whole one: `check_belongs` refuses it.
        """
        example: Tensor | None = None
        match place:
            case ("state_dict", str(name)):
                example = weights.get(name)
            case ("optimizer_states", int(index), "state", int(number), _) if index < len(self.optimizers):
                example = dict(enumerate(optimized_parameters(self.optimizers[index]))).get(number)
            case _:
                return None
        if example is None or example.shape != described.size:
            return whole(place, described)
        return torch.empty_like(example.detach())

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.model is not None
        present = self.model.state_dict()
        state = {name: sharded_like(value, present[name]) for name, value in checkpoint["state_dict"].items()}
        self.model.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = optimized_parameters(optimizer)
            states = {number: sharded_state(one, parameters[number]) for number, one in state["state"].items()}
            optimizer.load_state_dict({**state, "state": states})


StrategyRegistry.register(FSDP2, FSDP2Strategy, description="shards weights, gradients and optimiser state")


def mixed_precision(precision: str) -> MixedPrecisionPolicy:
    """Return what layers are gathered in. Inputs are left to autocast.

    Raises:
        InputError: gradients would be scaled, by each process alone.
    """
    if precision == "bf16-mixed":
        return MixedPrecisionPolicy(torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    if precision in ("32-true", "bf16-true"):  # the latter in a test of an older run
        return IN_32_BITS
    raise InputError(f"trainer.precision is {precision}: under fsdp2 choose 32-true or bf16-mixed")


def shard(module: Any, mesh: DeviceMesh, policy: MixedPrecisionPolicy, reshard_after_forward: bool) -> None:
    """Shard a module with its backbone over the processes of a mesh, in place.

    Args:
        module: a `GazeVLM` whose backbone is loaded.
        mesh: of one dimension.
        policy: what layers are gathered in.
        reshard_after_forward: free a layer of the language model between its passes.

    Raises:
        InputError: see `check_shardable`.
    """
    backbone: Backbone = module.backbone
    check_shardable(backbone)
    options: dict[str, Any] = {"mesh": mesh, "ignored_params": whole_parameters(backbone)}
    vision, language = layers(backbone)
    for layer in vision:  # once gathered they stay: an evaluation runs them clip by clip, and processes differ in clips
        fully_shard(layer, mp_policy=policy, reshard_after_forward=False, **options)
    for layer in language:
        fully_shard(layer, mp_policy=policy, reshard_after_forward=reshard_after_forward, **options)
    if backbone.block is not None:  # it computes in the precision of its own weights
        fully_shard(backbone.block, mp_policy=IN_32_BITS, reshard_after_forward=False, **options)
    fully_shard(module, mp_policy=policy, **options)
    for step in STEPS:
        register_fsdp_forward_method(module, step)
    backbone.passes_in_step = mesh.size() > 1


def check_shardable(backbone: Backbone) -> None:
    """Check that a model can be sharded; it may lie on the meta device.

    Raises:
        InputError: weights of 4 bits, or a layer in which weights of several dtypes are trained.
    """
    if backbone.options.quantization is not None:
        raise InputError("weights of 4 bits cannot be sharded: use the strategy ddp, or leave quantization out")
    vision, language = layers(backbone)
    own = [backbone.block, *vision, *language]
    units = [{*unit.parameters()} for unit in own if unit is not None]
    for unit in [*units, {*backbone.parameters()}.difference(*units)]:
        dtypes = {str(parameter.dtype).removeprefix("torch.") for parameter in unit if parameter.requires_grad}
        if len(dtypes) > 1:
            raise InputError(
                f"weights of {' and '.join(sorted(dtypes))} are trained in one layer, which cannot be sharded: set "
                "dtype to float32, or train one of the layer's parts alone"
            )


def whole_parameters(backbone: Backbone) -> set[nn.Parameter]:
    """Return the parameters that each process keeps whole: of what makes the features of frames, where it is frozen."""
    if not backbone.has_frozen_features:
        return set()
    return {parameter for module in backbone.encoding_modules() for parameter in module.parameters()}


def layers(backbone: Backbone) -> tuple[list[nn.Module], list[nn.Module]]:
    """List the layers of the vision tower and of the language model that are sharded each by itself."""
    parts, whole = backbone.parts(), whole_parameters(backbone)
    vision, language = (row_of_layers(parts[part]) for part in ("vision", "language"))  # type: ignore[index]
    return [layer for layer in vision if whole.isdisjoint(layer.parameters())], language


def row_of_layers(modules: list[nn.Module]) -> list[nn.Module]:
    """Return the modules that stand in one row and hold most of the parameters; none without a row."""
    rows = [row for module in modules for row in module.modules() if isinstance(row, nn.ModuleList | nn.Sequential)]
    return list(max(rows, key=lambda row: count_numbers(row.parameters()))) if rows else []
