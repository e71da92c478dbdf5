"""A tokenizer in a checkpoint splits texts as its class does, or is refused."""

import json

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from seqtext.data.cleaning import TextCleaner
from seqtext.data.corpus import TokenizedCorpus, write_corpus
from seqtext.errors import UserError
from seqtext.tokenizers.subwords import BPETokenizer, UnigramTokenizer, WordPieceTokenizer

TEXTS = pa.array(["a good film", "a bad film, good actors"])


@pytest.fixture(params=[BPETokenizer, UnigramTokenizer, WordPieceTokenizer])
def fitted(request, tmp_path):
    tokenizer = request.param(vocab_size=40)
    write_corpus(iter([TEXTS]), None, TextCleaner([], None), tmp_path)
    tokenizer.fit(TokenizedCorpus.load(tmp_path), np.array([0, 1]))
    return tokenizer


def refuse(tokenizer, description: str) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.(tokenizer|tokens)"):
        type(tokenizer)().load_state_dict(tokenizer.state_dict() | {"tokenizer": description})


def test_other_steps_are_refused(fitted):
    text = fitted.state_dict()["tokenizer"]
    type(fitted)().load_state_dict(fitted.state_dict())
    with pytest.raises(UserError, match=f"does not split texts as {type(fitted).__name__} does"):
        type(fitted)(lowercase=True).load_state_dict(fitted.state_dict())
    for name, step in (
        ("normalizer", normalizers.Replace(".", "b" * 32)),
        ("normalizer", normalizers.Lowercase()),
        ("pre_tokenizer", pre_tokenizers.Whitespace()),
    ):
        changed = Tokenizer.from_str(text)
        setattr(changed, name, step)
        refuse(fitted, changed.to_str())


def test_another_model_is_refused(fitted):
    description = json.loads(fitted.state_dict()["tokenizer"])
    model = description["model"]
    for name, values in {
        "unk_id": (2, None),
        "unk_token": ("a", None),
        "byte_fallback": (True,),
        "fuse_unk": (True,),
    }.items():
        for value in values if name in model else ():
            refuse(fitted, json.dumps(description | {"model": model | {name: value}}))
    vocabulary = Tokenizer.from_str(json.dumps(description)).get_vocab()
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    refuse(fitted, json.dumps(description | {"model": json.loads(words.to_str())["model"]}))
    more = Tokenizer.from_str(json.dumps(description))
    more.add_tokens(["film"])
    refuse(fitted, more.to_str())
