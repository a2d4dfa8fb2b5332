"""A validation or a test: free generation, the scores of each sample, and how well each head attends to gaze."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from gaze_vlm.attention.patch_attention import PatchAttention
from gaze_vlm.backbones.base import Backbone
from gaze_vlm.datamodules.clip import Batch
from gaze_vlm.formats.vocabulary import Vocabulary
from gaze_vlm.metrics.attention_scores import AttentionScorer
from gaze_vlm.metrics.scores import score_sample
from gaze_vlm.metrics.semantic import Encoder, embedding_scores
from gaze_vlm.runs.alignment import Alignment, alignment_of
from gaze_vlm.runs.prediction import Prediction, mean_scores, with_semantic_floor
from gaze_vlm.training.finite import refuse_unfinite_scores
from gaze_vlm.training.together import of_all


class Evaluation:
    """One evaluation of a model, batch by batch.

    Args:
        backbone: the model.
        encoder: sentence encoder of the semantic score.
        labels: verbs and nouns of the data set.
        floor: ε of the divergence that is reported.
        fixations: where each session looks, for the scores that compare with other sessions; None leaves them out.
    """

    def __init__(
        self,
        backbone: Backbone,
        encoder: Encoder,
        labels: Vocabulary,
        floor: float,
        fixations: Mapping[str, Tensor] | None,
    ) -> None:
        self.backbone = backbone
        self.encoder = encoder
        self.labels = labels
        self.predictions: list[Prediction] = []  # of this process, and once it is finished of all
        self.attention: PatchAttention | None = None  # of the last batch
        self.alignment: Alignment | None = None  # once it is finished
        self._scorer = None
        if backbone.source is not None:
            least = backbone.options.min_mass_in_view
            self._scorer = AttentionScorer(backbone.covered_view, least, floor, fixations)

    def score(self, batch: Batch) -> None:
        """Predict and score each sample of a batch.

        Raises:
            InputError: a score is not finite.
        """
        self.attention = None  # before the next takes its memory
        output, answers = self.backbone.evaluate(batch)
        refuse_unfinite_scores(batch.clips, output.cross_entropy)
        embedded = embedding_scores(answers, [clip.target for clip in batch.clips], self.encoder)
        of_attention: Sequence[dict[str, float]] = [{}] * len(answers)
        if output.attention is not None:
            assert self._scorer is not None
            of_attention = self._scorer(output.attention, batch)
            self.attention = output.attention
        for i, (clip, answer) in enumerate(zip(batch.clips, answers, strict=True)):
            scores = {"cross_entropy": float(output.cross_entropy[i])}
            scores |= {name: float(values[i]) for name, values in embedded.items()}
            scores |= score_sample(answer, clip.target, clip.verb, clip.noun, clip.nouns, self.labels)
            self.predictions.append(Prediction.of(clip, answer, scores | of_attention[i]))

    def finish(self) -> dict[str, float]:
        """Gather the predictions of all processes; return the mean of every score of every task, and `score`.

        `score` is the mean semantic similarity over all tasks; it chooses the best checkpoint.
        """
        self.attention = None
        gathered = sorted(of_all(self.predictions), key=lambda one: (one.clip_id, one.task))
        self.predictions = with_semantic_floor(gathered, self.encoder)
        if self.backbone.source is not None and self._scorer is not None and self._scorer.heads is not None:
            first, *others = of_all([self._scorer.heads])
            self.alignment = alignment_of(self.backbone.source, sum(others, first))
        of_tasks = mean_scores(self.predictions)
        means = {f"{task}/{name}": value for task, scores in of_tasks.items() for name, value in scores.items()}
        semantic = [one.scores["semantic"] for one in self.predictions]
        return means | {"score": sum(semantic) / len(semantic)}
