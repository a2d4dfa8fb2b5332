"""Questions and answers as token ids, by a checkpoint's own chat template."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from jinja2 import TemplateError
from numpy.typing import NDArray
from torch import Tensor

from gaze_vlm.attention.sources import NO_PLACEHOLDER
from gaze_vlm.datamodules.clip import IGNORED
from gaze_vlm.errors import InputError, shortened
from gaze_vlm.foreign_text import visible

Media = Literal["image", "video"]
TokenIds = NDArray[np.int64]
KEPT_TEXTS = 2**16  # samples whose token ids are kept
KEPT_QUESTIONS = 2**10  # a data set asks few
TEMPLATE_TOKENS = 8  # more than any template writes into an answer, such as the space before it and its end


@dataclass
class ChatTexts:
    """Texts of a backbone's clips.

    Args:
        processor: the checkpoint's own processor, with a tokenizer and a chat template.
        media: whether a clip is an image a frame, or one video.
        placeholder: pattern of what the chat template writes for an image or a video.
        write: what stands in its place, from the times of its frame groups; with one visual token a frame group.
        visual_token: id of the placeholder that stands for one visual token, or NO_PLACEHOLDER.
        tokens_per_frame: visual tokens of a frame group in the language model's input.
        tokens_after_clip: visual tokens behind those of a clip's frames.
        frames_per_group: frames that the vision tower takes as one.
        max_target_tokens: tokens of the longest target text, its end of text among them; a longer one is cut.
        context_tokens: tokens that the language model was made for, question and answer together; None is no limit.
    """

    processor: Any
    media: Media
    placeholder: str
    write: Callable[[Sequence[float]], str]
    visual_token: int
    tokens_per_frame: int
    tokens_after_clip: int
    frames_per_group: int
    max_target_tokens: int
    context_tokens: int | None

    @property
    def padding(self) -> int:
        """Token id that fills a text up."""
        return padding_of(self.processor.tokenizer)

    @cached_property
    def special_tokens(self) -> re.Pattern[str]:
        """Pattern of the tokenizer's special tokens, which a text must not hold."""
        tokenizer = self.processor.tokenizer
        added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        tokens = sorted(filter(None, added | set(tokenizer.all_special_tokens)), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, tokens)) or r"(?!)")

    def check_text(self, text: str, name: str, fix: str = "write it otherwise") -> None:
        """Refuse a text that holds a special token.

        The text would end there, or the token would stand for an image that is not there.

        Args:
            text: a question or an answer.
            name: of the text, for who reads the error.
            fix: what to do about it.

        Raises:
            InputError: it does.
        """
        if (found := self.special_tokens.search(text)) is not None:
            token = visible(found.group())
            raise InputError(f"{name} {text!r} holds {token}, a special token of the model's tokenizer: {fix}")

    def check_asked(self, text: str, name: str) -> None:
        """Check a text of the user's own as `check_text` does, and warn of words that the tokenizer does not know.

        Args:
            text: a question or an answer.
            name: of the text, for who reads the error or the warning.

        Raises:
            InputError: it holds a special token.
        """
        self.check_text(text, name)
        tokenizer = self.processor.tokenizer
        if tokenizer.unk_token_id in tokenizer(text, add_special_tokens=False)["input_ids"]:
            warnings.warn(
                f"{name} {text!r} has words that the model's tokenizer does not know; it reads "
                f"{visible(tokenizer.unk_token)} in their place",
                stacklevel=2,
            )

    def check_length(self, tokens: int, name: str) -> None:
        """Refuse a clip that the language model was not made for: its answer would be worth nothing.

        Args:
            tokens: of question, frames and answer.
            name: of the clip, for who reads the error.

        Raises:
            InputError: it has more tokens than the model's context.
        """
        if self.context_tokens is not None and tokens > self.context_tokens:
            raise InputError(
                f"{name} is {tokens:,} tokens long with its frames, of which the model takes {self.context_tokens:,}: "
                "give it fewer frames (observation_s, frame_hz) or a shorter text"
            )

    def tokenize(self, prompt: str, target: str, times_s: Sequence[float]) -> tuple[TokenIds, list[int]]:
        """Return the token ids of the prompt and of the answer.

        The prompt has the visual tokens of frames at these times, the answer its end of text.
        """
        question, answer = self.token_ids(prompt, target, tuple(times_s))
        is_group = question == self.visual_token
        repeats = np.where(is_group, self.tokens_per_frame, 1)
        if self.tokens_after_clip:
            repeats[np.flatnonzero(is_group)[-1:]] += self.tokens_after_clip
        if len(answer) > self.max_target_tokens:
            answer = [*answer[: self.max_target_tokens - 1], self.processor.tokenizer.eos_token_id]
        return question.repeat(repeats), answer

    def with_labels(self, tokens: Sequence[tuple[TokenIds, list[int]]]) -> dict[str, Int[Tensor, "batch token"]]:
        """Make model inputs of tokenized questions and answers, padded on the left, with `labels` on the answers."""
        length = max(len(question) + len(answer) for question, answer in tokens)
        ids = np.full((len(tokens), length), self.padding)
        mask, labels = np.zeros_like(ids), np.full_like(ids, IGNORED)
        for i, (question, answer) in enumerate(tokens):
            first = length - len(answer)
            ids[i, first - len(question) : first] = question
            ids[i, first:] = labels[i, first:] = answer
            mask[i, first - len(question) :] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {name: torch.from_numpy(value) for name, value in inputs.items()}

    @cached_property
    def token_ids(self) -> Callable[[str, str, tuple[float, ...]], tuple[TokenIds, list[int]]]:
        """`tokenize` with one placeholder a frame group, remembered by sample."""
        return lru_cache(maxsize=KEPT_TEXTS)(self._token_ids)

    def _token_ids(self, prompt: str, target: str, times_s: tuple[float, ...]) -> tuple[TokenIds, list[int]]:
        question, answer = self.render(prompt, target, len(times_s))
        asked = self.with_media(question, times_s)
        return self.question_ids(asked), self.answer_ids(asked, answer)

    @cached_property
    def question_ids(self) -> Callable[[str], TokenIds]:
        """Token ids of a question with its media, remembered."""
        return lru_cache(maxsize=KEPT_QUESTIONS)(lambda text: np.array(self.ids_of(text), np.int64))

    def ids_of(self, text: str) -> list[int]:
        """Return the token ids of a text from a chat's start on, with one start of text and no end that it has not."""
        tokenizer = self.processor.tokenizer
        starts, end = tokenizer.bos_token, tokenizer.eos_token
        ids: list[int] = tokenizer(text, add_special_tokens=not (starts and text.startswith(starts)))["input_ids"]
        return ids[:-1] if ids[-1:] == [tokenizer.eos_token_id] and not text.rstrip().endswith(end) else ids

    def answer_ids(self, question: str, answer: str) -> list[int]:
        """Return all token ids of a rendered answer behind its question, with its end of text.

        By itself an answer may have other tokens: Llama's tokenizer puts a space before the first word of any text.
        """
        tokenizer, answer = self.processor.tokenizer, answer.rstrip()  # some templates write a space behind it
        asked, whole = self.question_ids(question).tolist(), self.ids_of(question + answer)
        if whole[: len(asked)] == asked:
            ids: list[int] = [*whole[len(asked) :], tokenizer.eos_token_id]
        else:  # a token reaches from one into the other
            ids = [*tokenizer(answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        return ids[: ids.index(tokenizer.eos_token_id) + 1]  # templates that close a message write more behind it

    def is_cut(self, target: str) -> bool:
        """Whether a target text is longer than the model trains on, in tokens."""
        if len(target.encode()) < self.max_target_tokens - TEMPLATE_TOKENS:  # a token holds a byte or more
            return False
        return len(self.answer_ids(*self.render("", target, 1))) > self.max_target_tokens

    def with_media(self, question: str, times_s: Sequence[float]) -> str:
        """Write the media in the place of the template's placeholders.

        Args:
            question: a prompt that the template rendered.
            times_s: of the clip's frames.

        Raises:
            InputError: the question has more or fewer placeholders than the clip has media.
        """
        if self.visual_token == NO_PLACEHOLDER:
            return question
        media = [times_s] if self.media == "video" else [[t] for t in times_s]
        found = len(re.findall(self.placeholder, question))
        if found != len(media):
            raise InputError(
                f"the chat template of {self.processor.tokenizer.name_or_path or 'this checkpoint'} left {found} "
                f"{self.media} placeholders for {len(media)}: its template must write one for each {self.media} of a "
                "message"
            )
        texts = iter([self.write(self.group_times_s(times)) for times in media])
        return re.sub(self.placeholder, lambda _: next(texts), question)

    def group_times_s(self, times_s: Sequence[float]) -> list[float]:
        """Return the middle of each frame group, in seconds."""
        last = self.frames_per_group - 1
        return [(times_s[i] + times_s[i + last]) / 2 for i in range(0, len(times_s), self.frames_per_group)]

    def render(self, prompt: str, target: str, frames: int) -> tuple[str, str]:
        """Write prompt and answer by the checkpoint's chat template.

        Args:
            prompt: the question.
            target: the target text.
            frames: how many frames the clip has.

        Raises:
            InputError: the template does not begin an answered chat with the prompt.
        """
        question = self.question(prompt, frames)
        answered = {"role": "assistant", "content": [{"type": "text", "text": target}]}
        whole = self.written([self.asked(prompt, frames), answered])
        if whole.startswith(question):
            return question, whole.removeprefix(question)
        # Some templates, such as LLaVA-OneVision's, write other white space before an answer than before a prompt's.
        place = whole.rfind(target.strip())
        if place < 0 or whole[:place].split() != question.split():
            raise InputError(
                "the chat template does not begin an answered chat with the prompt itself: fix the template"
            )
        return question, whole[place:]

    def written(self, messages: list[dict[str, Any]], **options: bool) -> str:
        """Write messages by the checkpoint's chat template.

        Raises:
            InputError: there is none, or it cannot write them.
        """
        try:
            text: str = self.processor.apply_chat_template(messages, tokenize=False, **options)
        except (ValueError, TypeError, TemplateError) as error:
            raise InputError(
                f"{self.processor.tokenizer.name_or_path or 'this checkpoint'} has no chat template that writes a "
                f"question about frames and its answer ({shortened(str(error), 120)}): add its chat_template.jinja, or "
                "take the checkpoint that was tuned for instructions"
            ) from error
        return text

    def asked(self, prompt: str, frames: int) -> dict[str, Any]:
        """Return the message that asks about a clip."""
        media = [{"type": self.media}] * (1 if self.media == "video" else frames)
        return {"role": "user", "content": [*media, {"type": "text", "text": prompt}]}

    @cached_property
    def question(self) -> Callable[[str, int], str]:
        """A prompt about so many frames, as the chat template writes it, remembered."""

        def write(prompt: str, frames: int) -> str:
            return self.written([self.asked(prompt, frames)], add_generation_prompt=True)

        return lru_cache(maxsize=KEPT_QUESTIONS)(write)


def padding_of(tokenizer: Any) -> int:
    """Return the token id that fills a text up: the end of text where a tokenizer has none for it, as Llama's."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
