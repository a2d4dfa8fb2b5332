"""The datamodule: clips of a prepared store, split and loaded for any backbone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from jaxtyping import Float
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor
from torch.utils.data import DataLoader

from gaze_vlm.datamodules.batches import EvenBatches, StepLoader, TrainingOrder
from gaze_vlm.datamodules.clip import PROMPTS, Batch, Clip, ClipCollator, Task, known_tasks
from gaze_vlm.datamodules.dataset import ClipDataset, ShownFrames
from gaze_vlm.datamodules.feature_files import FeatureFiles
from gaze_vlm.datamodules.gaze_input import GazeInput
from gaze_vlm.datamodules.gaze_options import GazeNoise, GazeOptions
from gaze_vlm.datamodules.gaze_sources import GazeSource, StoredGaze, TrainingGaze, gaze_of_training
from gaze_vlm.datamodules.gaze_summaries import fixations_of_sessions, valid_share
from gaze_vlm.datamodules.loader_deaths import loader_processes
from gaze_vlm.datamodules.targets import read_targets
from gaze_vlm.errors import InputError
from gaze_vlm.formats.vocabulary import Vocabulary, read_word_list, vocabulary
from gaze_vlm.gaze.view import Grid, View
from gaze_vlm.preparation.records import ClipRecord, Split
from gaze_vlm.preparation.store import Store
from gaze_vlm.ranges import above_zero, at_least, in_unit_interval, is_seed
from gaze_vlm.sockets import check_sockets


class ClipDataModule(L.LightningDataModule):
    """Serves the clips of a store, split as they were prepared.

    Args:
        store: folder that `gaze-vlm prepare` wrote.
        tasks: tasks to serve, each clip once a task.
        batch_size: samples a process.
        train_clips: train on so many clips, drawn by `seed`; None takes all.
        test_split: what `test` and `predict` serve; `validation` where something is still to be chosen.
        train_gaze: whose gaze the training sees: the clip's `own`, that of a clip of another session (`shuffled`) or of
            another time of its own session (`shuffled_in_time`), or none of it (`centre`, a broad Gaussian at the
            centre). Validation and test always have the clip's own.
        gaze: how gaze points become a mixture.
        test_gaze: the same for validation and test. None is `gaze`; give it where arms with other `gaze` are to be
            scored against the same one.
        train_noise: errors put on the gaze that the training sees; validation and test have none.
        targets: file of points, boxes or masks that the training pulls attention toward in place of gaze (JSON Lines or
            CSV, docs/targets.md). Validation and test have the clip's gaze.
        targets_within_s: how far in seconds a frame's targets may be from its time.
        frames: what the model is shown, in training and test: the clip's `own` frames, or `blank` ones of one grey.
        gaze_input: gaze that the model is given, in training and at test: `none`; written behind the question as
            `coordinates` or as `words`; or `drawn` on the frames. Tables mark such runs.
        prompts: the question of each task.
        objects: for a store without noun labels, a list of the objects that answers may name, one a line
            (docs/scores.md, Hallucination); None leaves their scores out.
        workers: loader processes; 0 decodes in the main process.
        cached_clips: clips kept in memory, as the model reads them, in each loader; for small frames.
        features: folder where a frozen vision tower's features are kept, of each clip once, for all runs that have the
            same tower. None keeps none.
        features_gb: most that this folder may hold; where a run's would not fit, none of them is kept.
        unreadable_share: most of an epoch's training samples whose clips cannot be read; the next clip is trained on in
            place of each. With more the training stops, with 0 at the first. Validation and test stop at any.
        decode_timeout_s: seconds that the decoder may take for a clip. One that takes longer cannot be read; None waits
            for ever.
        seed: draws the training clips, their order and the shuffling.
    """

    trainer: L.Trainer  # type: ignore[assignment]  # the loaders are asked for by a trainer
    # The command line sets both; they are called once the backbone is loaded.
    make_collator: Callable[[], ClipCollator]
    keep_features: Callable[[Sequence[ClipDataset]], FeatureFiles | None] = staticmethod(lambda _: None)

    def __init__(
        self,
        store: Path,
        tasks: tuple[Task, ...] = ("activity", "future"),
        batch_size: int = 32,
        train_clips: int | None = None,
        test_split: Literal["validation", "test"] = "test",
        train_gaze: TrainingGaze = "own",
        gaze: GazeOptions = GazeOptions(),  # noqa: B008 (frozen)
        train_noise: GazeNoise = GazeNoise(),  # noqa: B008 (frozen)
        test_gaze: GazeOptions | None = None,
        targets: Path | None = None,
        targets_within_s: float = 0.1,
        frames: ShownFrames = "own",
        gaze_input: GazeInput = "none",
        prompts: dict[Task, str] | None = None,
        objects: Path | None = None,
        workers: int = 0,
        cached_clips: int = 0,
        features: Path | None = None,
        features_gb: float = 50.0,
        unreadable_share: float = 0.01,
        decode_timeout_s: float | None = 60.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        at_least(1, batch_size=batch_size, train_clips=train_clips)
        at_least(0, workers=workers, cached_clips=cached_clips, features_gb=features_gb)
        in_unit_interval(unreadable_share=unreadable_share)
        above_zero(decode_timeout_s=decode_timeout_s)
        is_seed(seed)
        if not tasks or len(set(tasks)) < len(tasks):
            raise InputError(f"tasks is {', '.join(tasks) or 'empty'}: name activity, future or both, each once")
        known_tasks(prompts=prompts)
        at_least(0, targets_within_s=targets_within_s)
        if targets is not None and (train_gaze != "own" or train_noise != GazeNoise()):
            raise InputError("targets take the place of gaze: leave out train_gaze and train_noise, which are of gaze")
        if frames == "blank" and gaze_input == "drawn":
            raise InputError("frames is blank and gaze_input is drawn: a ring on nothing is no frame, change one")
        self.store_path = store
        self.tasks = tasks
        self.batch_size = batch_size
        self.train_clips = train_clips
        self.test_split = test_split
        self.train_gaze: TrainingGaze = train_gaze
        self.gaze = gaze
        self.train_noise = train_noise
        self.test_gaze = test_gaze or gaze
        self.targets = targets
        self.targets_within_s = targets_within_s
        self.frames: ShownFrames = frames
        self.gaze_input: GazeInput = gaze_input
        self.prompts = PROMPTS | (prompts or {})
        self.objects = () if objects is None else read_word_list(objects)
        self.workers = workers
        self.cached_clips = cached_clips
        self.features = features
        self.features_gb = features_gb
        self.unreadable_share = unreadable_share
        self.decode_timeout_s = decode_timeout_s
        self.seed = seed
        self.datasets: dict[Split, ClipDataset] = {}
        self._fixations: dict[tuple[object, ...], dict[str, Tensor]] = {}

    def setup(self, stage: str) -> None:
        """Open the store and check its videos' files; nothing is decoded.

        Only a training asks for train clips: a store to test on need not have any.

        Raises:
            MissingFileError: a video is not where it was prepared from.
            InputError: no store is there, it has too few clips or a shorter window of gaze than `gaze` asks for, it has
                noun labels beside `objects`, a video is another than was prepared, or loader processes cannot be talked
                to, for where temporary files are.
        """
        if self.workers:
            check_sockets()
        if not self.datasets:
            self.store = Store(self.store_path)
            prepared_s = self.store.manifest.parameters["window_s"]
            window_s = max(self.gaze.window_s, self.test_gaze.window_s)
            if window_s > prepared_s:
                raise InputError(
                    f"gaze window_s is {window_s:g}, {self.store_path} was prepared with {prepared_s:g}: "
                    "lower it, or prepare with parameters.window_s as large"
                )
            if self.objects and self.store.manifest.nouns:
                raise InputError(f"{self.store_path} has noun labels: leave data.objects out")
        splits: tuple[Split, ...] = ("validation", "test")
        for split in ("train", *splits) if stage == "fit" else splits:
            if split not in self.datasets:
                self.datasets[split] = self.dataset(split)
                self.store.check_videos(record.video_id for record in self.datasets[split].records)

    def tested(self) -> ClipDataset:
        """Set up the store and return the clips that `test` serves."""
        self.setup("test")
        return self.datasets[self.test_split]

    @property
    def labels(self) -> Vocabulary:
        """The data set's verb and noun labels, or `objects`; the store must be set up."""
        return vocabulary(self.store.manifest.verbs, self.store.manifest.nouns or self.objects)

    @property
    def sees_gaze_at_test(self) -> bool:
        """Whether the model is given gaze as an input."""
        return self.gaze_input != "none"

    def clips_in(self, split: Split) -> int:
        """Count the clips that a split serves, in whatever stage."""
        if split == "train" and self.train_clips is not None:
            return self.train_clips
        return sum(record.split == split for record in self.store.clips)

    def dataset(self, split: Split) -> ClipDataset:
        """Return the clips of a split.

        Raises:
            InputError: more training clips are asked for than there are, or none is left to shuffle with.
        """
        chosen = (self.with_objects(record) for record in self.store.clips if record.split == split)
        records = sorted(chosen, key=lambda record: record.session)  # sessions stand together, for the shuffling
        draw = np.random.default_rng(self.seed)
        if split == "train" and self.train_clips is not None:
            if not 0 < self.train_clips <= len(records):
                raise InputError(
                    f"train_clips is {self.train_clips}, {self.store_path} has {len(records)} training clips: "
                    "give that many or fewer, or null for all"
                )
            records = [records[i] for i in np.sort(draw.choice(len(records), self.train_clips, replace=False))]
        tasks = {task: self.prompts[task] for task in self.tasks}
        gaze: GazeSource = StoredGaze(self.store, records, self.test_gaze, records)
        targets = None
        if split == "train":
            gaze = gaze_of_training(self.train_gaze, self.store, records, self.gaze, self.train_noise, draw)
            if self.targets is not None:
                targets = read_targets(self.targets, list(self.store.manifest.videos), self.targets_within_s)
        return ClipDataset(
            self.store,
            records,
            tasks,
            gaze,
            frames=self.frames,
            gaze_input=self.gaze_input,
            cached_clips=self.cached_clips,
            targets=targets,
            replaces=split == "train" and self.unreadable_share > 0,
            decode_timeout_s=self.decode_timeout_s,
        )

    def with_objects(self, record: ClipRecord) -> ClipRecord:
        """Return a record with the objects that its texts name as its clip's nouns.

        They are those of `objects`; without a list, the record is returned as it is.
        """
        if not self.objects:
            return record
        named = [self.labels.named_nouns(text) for text in (record.activity_text, record.future_text)]
        return replace(record, nouns=tuple(sorted({label for labels in named for label in labels})))

    def train_dataloader(self) -> DataLoader[Clip]:
        dataset = self.datasets["train"]
        accumulated = self.trainer.accumulate_grad_batches
        steps, limit = self.steps_of_training(self.trainer.world_size, accumulated), self.trainer.limit_train_batches
        limited = limit // accumulated if isinstance(limit, int) else int(limit * steps)
        sampler = TrainingOrder(
            dataset,
            steps_made=lambda: self.trainer.global_step,
            steps=max(1, min(steps, limited)),
            step_samples=self.batch_size * accumulated,
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            seed=self.seed,
            drop_last=True,
        )
        # Those of the validation too, so that the training does not wait for them half-way.
        self.keep_features([dataset, self.datasets["validation"]])
        loading = self._loading(dataset)
        return StepLoader(dataset, accumulated, batch_size=self.batch_size, sampler=sampler, drop_last=True, **loading)

    def steps_of_training(self, processes: int, accumulated: int) -> int:
        """Count the optimiser steps of an epoch; a partial one is dropped.

        Raises:
            InputError: there is not even one.
        """
        samples = len(self.datasets["train"])
        steps = samples // processes // self.batch_size // accumulated
        if not steps:
            times = f"{accumulated} times " if accumulated > 1 else ""
            raise InputError(
                f"{samples} training samples do not fill one batch of {self.batch_size} {times}on each of "
                f"{processes} processes: lower batch_size or serve more clips"
            )
        return steps

    def valid_share(self, view: View, min_mass_in_view: float) -> float:
        """Return the share of training frames with something to be pulled toward.

        See `gaze_summaries.valid_share`.
        """
        return valid_share(self.datasets["train"], view, min_mass_in_view)

    def fixations_of_sessions(
        self, evaluation: Literal["validation", "test"], grid: Grid, view: View, min_mass_in_view: float
    ) -> dict[str, Float[Tensor, " patch"]]:
        """Return where each session that is evaluated looks.

        See `gaze_summaries.fixations_of_sessions`. It is computed once: every validation asks for it.

        Args:
            evaluation: `validation`, or `test`, which may be of another split (`test_split`).
            grid: patches of a frame.
            view: the part of the frame that the grid covers.
            min_mass_in_view: share of a frame's gaze mass that must be in view for the frame to count.
        """
        asked = evaluation, grid, view, min_mass_in_view
        if asked not in self._fixations:
            dataset = self.tested() if evaluation == "test" else self.datasets["validation"]
            self._fixations[asked] = fixations_of_sessions(dataset, grid, view, min_mass_in_view)
        return self._fixations[asked]

    def val_dataloader(self) -> DataLoader[Clip]:
        return self._evaluation("validation")

    def test_dataloader(self) -> DataLoader[Clip]:
        return self._evaluation(self.test_split)

    def predict_dataloader(self) -> DataLoader[Clip]:
        return self._evaluation(self.test_split)

    def _evaluation(self, split: Split) -> DataLoader[Clip]:
        dataset = self.datasets[split]
        batches = self.batches_of_evaluation(split, self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(dataset, batch_sampler=batches, **self._loading(dataset))

    def batches_of_evaluation(self, split: Split, rank: int, processes: int) -> EvenBatches:
        """Return the batches that one of some processes evaluates; the tasks of a clip stand together.

        Raises:
            InputError: fewer clips than processes.
        """
        clips = len(self.datasets[split].records)
        if not clips:
            raise InputError(
                f"{self.store_path} has no {split} clips: prepare with a share of split_fractions for them"
            )
        return EvenBatches(clips, len(self.tasks), self.batch_size, rank, processes)

    def _loading(self, dataset: ClipDataset) -> dict[str, Any]:
        collator = self.make_collator()
        dataset.prepare_for(collator.pixel_values, self.keep_features([dataset]))
        return {
            "collate_fn": collator,
            **loader_processes(self.workers),
            "persistent_workers": self.workers > 0,
            "pin_memory": torch.cuda.is_available(),
            "generator": torch.Generator(),  # of its own: a training draws the same, whether it validates or not
        }

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the tensors to the device; the clips stay."""
        return batch.map_tensors(partial(move_data_to_device, device=device))
