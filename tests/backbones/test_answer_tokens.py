"""An answer's tokens are those that a model reads behind its question."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from backbone_families import FAMILIES, make_backbone, make_clip
from gaze_vlm.backbones.collator import Collator
from gaze_vlm.backbones.loading import save_checkpoint
from gaze_vlm.errors import InputError

TEMPLATE = (  # in the manner of LLaVA 1.5's: a space behind each text, none behind the last colon
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ part['text'] + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer in the manner of Llama's: a space is put before any text, and a word's token has its space."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    words = ["USER: what is it ? ASSISTANT: cut onion", "USER: ASSISTANT: pick up the red cup", "cut the onion"] * 20
    trainer = trainers.BpeTrainer(special_tokens=special, vocab_size=400, max_token_length=8)
    pieces = [piece.replace("▁▁", "▁") for text in words for piece in ("▁" + text.replace(" ", " ▁")).split(" ")]
    tokenizer.normalizer, kept = normalizers.Sequence([]), tokenizer.normalizer
    tokenizer.train_from_iterator(pieces, trainer)
    tokenizer.normalizer = kept
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )


@pytest.fixture(scope="module")
def collator(tmp_path_factory: pytest.TempPathFactory) -> Collator:
    model, processor = FAMILIES[0].build()
    processor.tokenizer = llama_tokenizer()
    processor.chat_template = TEMPLATE
    model.config.image_token_id = processor.tokenizer.convert_tokens_to_ids("<image>")
    model.resize_token_embeddings(len(processor.tokenizer))
    folder = tmp_path_factory.mktemp("llama")
    save_checkpoint(model, processor, folder)
    return make_backbone(FAMILIES[0], folder, None, weights=False).collator()


def test_an_answer_has_the_tokens_of_the_text_behind_its_question(collator: Collator) -> None:
    """By itself it would begin with a space too many; the template's own space at the end is no word of it."""
    clip, tokenizer = make_clip(0, "cut the onion"), collator.processor.tokenizer
    question, answer = collator.tokenize(clip.prompt, clip.target, clip.frame_times_s)
    assert tokenizer.convert_ids_to_tokens(answer) == ["▁cut", "▁the", "▁onion", "</s>"]
    alone = tokenizer(" cut the onion ", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(alone) != ["▁cut", "▁the", "▁onion"]
    assert tokenizer.decode(question).endswith("ASSISTANT:")
    assert not collator.is_cut("cut the onion")


def test_a_token_that_reaches_over_the_edge(collator: Collator) -> None:
    """Where question and answer have a token in common, the question stays as it is asked, and the answer is whole."""
    tokenizer = collator.processor.tokenizer
    ids = collator.answer_ids("ASSISTANT: cu", "t onion")
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids[:-1]).strip() == "t onion"


ONEVISION = (  # in the manner of LLaVA-OneVision's: a space behind a role in a chat, a new line in a prompt
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ '\n' + part['text'] }}{% endif %}"
    "{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_a_template_with_other_white_space_before_an_answer(
    collator: Collator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question stays as it is asked at test."""
    monkeypatch.setattr(collator.processor, "chat_template", ONEVISION)
    monkeypatch.setattr(collator, "question", type(collator).question.func(collator))  # it remembers
    question, answer = collator.render("what is it ?", "cut onion", 2)
    assert question.endswith("<|im_start|>assistant\n")
    assert answer == "cut onion<|im_end|>\n"
    monkeypatch.setattr(collator.processor, "chat_template", ONEVISION.replace("'<|im_start|>assistant", "'another"))
    monkeypatch.setattr(collator, "question", type(collator).question.func(collator))
    with pytest.raises(InputError, match="does not begin an answered chat with the prompt itself"):
        collator.render("what is it ?", "cut onion", 2)


def test_one_start_and_no_end_of_a_question(collator: Collator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where template and tokenizer both write the start of text, and where the tokenizer ends every text."""
    tokenizer = collator.processor.tokenizer
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    marks = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", start), ("</s>", end)])
    monkeypatch.setattr(tokenizer.backend_tokenizer, "post_processor", marks)
    for text in ("USER: what", "<s>USER: what"):
        ids = collator.ids_of(text)
        assert (ids.count(start), ids.count(end)) == (1, 0)
    assert tokenizer.convert_ids_to_tokens(collator.answer_ids("USER: ASSISTANT:", " cut onion ")) == [
        "▁cut",
        "▁onion",
        "</s>",
    ]
