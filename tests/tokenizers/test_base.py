"""The contract of tokenizers, for words and for a user's tokenizer."""

import copy
import hashlib
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer as HuggingFaceTokenizer

from seqtext.data.corpus import TokenizedCorpus
from seqtext.datasets.imdb import IMDB
from seqtext.datasets.spam import Spam
from seqtext.errors import OptionError, UserError
from seqtext.tokenizers.base import Tokenizer, truncate
from seqtext.tokenizers.characters import CharacterTokenizer
from seqtext.tokenizers.subwords import BPETokenizer, UnigramTokenizer, WordPieceTokenizer
from seqtext.tokenizers.unigram_training import learn_pieces
from seqtext.tokenizers.vocabulary import Vocabulary
from seqtext.tokenizers.words import WordTokenizer


class OwnCharacters(Tokenizer):
    """Each character is a token."""

    def fit(self, corpus: TokenizedCorpus, rows: np.ndarray) -> None:
        words = {code for _, codes in corpus.iter_rows(rows) for code in codes.tolist()}
        texts = corpus.dictionary.take(pa.array(sorted(words))).to_pylist()
        self.vocabulary = Vocabulary(sorted({" ", *"".join(texts)}))

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.array([len(text) for text in texts.to_pylist()], np.int64)
        ids = self.vocabulary.encode(pa.array(list("".join(texts.to_pylist())), pa.string()))
        return truncate(ids, lengths, self.max_length, self.truncation_side)


UNUSUAL = [
    "",
    "  (good) film, don't\u00a0see http://x.y/z?a=1, @you: 1,000 or 2x!! ",
    "这部电影 ภาษาไทย 👍🏽👨\u200d👩\u200d👧🇫🇷 \x1c\x85 हिन्दी e\u0301",
    "<unk> <pad> ▁ ##ing <number>",
    "٣٤ １２３ ٣٤5 🫩good İstanbul @www.a.b www.a.b@me 12@me",
]
TOKENIZERS = [
    WordTokenizer(7, "right"),
    WordTokenizer(20, punctuation="split", mask=["numbers"], lowercase=True),
    WordTokenizer(20, mask=["numbers", "urls", "users"], vocab_size=50),
    WordTokenizer(30, mask=["numbers", "users"], punctuation="split", split_unspaced=False),
    CharacterTokenizer(30, vocab_size=20),
    BPETokenizer(12, vocab_size=80),
    WordPieceTokenizer(12, "right", vocab_size=80),
    UnigramTokenizer(12, vocab_size=80, lowercase=True),
    OwnCharacters(30),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_a_data_set_is_encoded_as_single_texts_are(tokenizer, kaggle_dir, tmp_path):
    data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path), tokenizer=tokenizer)
    data.setup()
    assert not hasattr(tokenizer, "vocabulary"), "the data set fits a copy"
    cleaned = [" ".join(text.split()) for text in data.cleaning(data.texts).to_pylist()]
    ids, lengths = data.tokenizer.encode(pa.array(cleaned))
    encoded = data.dataset.texts
    assert lengths.tolist() == encoded.lengths.tolist()
    assert lengths.max() == tokenizer.max_length
    assert ids.tolist() == encoded.ids.tolist()
    spans = data.tokenizer.find_spans(cleaned[0])
    assert spans is None or len(spans) == lengths[0]
    if made := data.tokenizer.build_hugging_face_tokenizer():
        made = HuggingFaceTokenizer.from_str(made.to_str())  # as in the file
        ids_of = data.tokenizer.list_ids() or range(len(data.vocabulary))
        of_texts = [
            [ids_of[number] for number in made.encode(text).ids] for text in (*cleaned, *UNUSUAL)
        ]
        theirs = np.concatenate(of_texts), np.array(list(map(len, of_texts)))
        theirs = truncate(*theirs, tokenizer.max_length, tokenizer.truncation_side)
        ours = data.tokenizer.encode(pa.array([*cleaned, *UNUSUAL]))
        assert theirs[0].tolist() == ours[0].tolist()
        for text, length in zip(UNUSUAL, ours[1][-len(UNUSUAL) :], strict=True):
            assert len(data.tokenizer.find_spans(text)) in (length, 0)
    restored = copy.deepcopy(tokenizer)
    restored.load_state_dict(json.loads(json.dumps(data.tokenizer.state_dict())))
    again, _ = restored.encode(pa.array(cleaned))
    assert again.tolist() == ids.tolist()


def test_characters_that_stand_for_masks_in_an_export_are_unknown():
    tokenizer = WordTokenizer(20, mask=["numbers", "users"])
    tokenizer.load_state_dict({"tokens": ["<number>", "<user>", "a"], "max_length": 20})
    text = "a 5 @b \ue000 \ue001 \ue001x \ufdd0 \ufdd1 \ufdd2x"
    description = tokenizer.build_hugging_face_tokenizer().to_str()  # as in the file
    found = HuggingFaceTokenizer.from_str(description).encode(text).ids
    ours = [tokenizer.list_ids()[number] for number in found]
    assert ours == tokenizer.encode(pa.array([text]))[0].tolist()


def test_names_of_special_tokens_in_texts_are_unknown_words():
    counts = np.array([5, 4, 3])
    vocabulary = Vocabulary.from_counts(pa.array(["<unk>", "a", "<pad>"]), counts, None)
    assert vocabulary.tokens == ["a"]
    assert vocabulary.encode(pa.array(["<pad>", "<unk>", "a"])).tolist() == [1, 1, 2]


SUBWORDS = [BPETokenizer, WordPieceTokenizer, UnigramTokenizer]
LEARN = """
from tests.tokenizers.test_base import learn_subwords
import hashlib, sys
print(hashlib.sha256(repr(learn_subwords(sys.argv[1], sys.argv[2])).encode()).hexdigest())
"""


def learn_subwords(folder: str, cache: str) -> list[dict]:
    """Return the states of all tokenizers of subwords, learned from the rows of `folder`."""
    states = []
    for kind in SUBWORDS:
        data = IMDB(dir=folder, cache=f"{cache}/{kind.__name__}", tokenizer=kind(vocab_size=120))
        data.setup()
        states.append(data.tokenizer.state_dict())
    return states


@pytest.mark.slow
def test_the_same_texts_give_the_same_subwords(kaggle_dir, tmp_path):
    states = learn_subwords(str(kaggle_dir), str(tmp_path / "here"))
    assert all(30 < len(state["tokens"]) <= 120 for state in states)
    printed = subprocess.run(
        [sys.executable, "-c", LEARN, str(kaggle_dir), str(tmp_path / "there")],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert printed.strip() == hashlib.sha256(repr(states).encode()).hexdigest()


@pytest.mark.parametrize("kind", SUBWORDS)
def test_a_vocabulary_smaller_than_the_alphabet(kind, kaggle_dir, tmp_path):
    data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path), tokenizer=kind(vocab_size=5))
    data.setup()
    assert 0 < len(data.tokenizer.vocabulary.tokens) <= 5


def test_subwords_of_unusual_words():
    counts = {"▁a\0b": 3, "▁▅": 9, "▁": 2, "▁▁": 4, f"▁{'ab' * 9000}": 10**4, "▁👍🏽": 2, "▁cab": 1}
    pieces = learn_pieces(counts, 30)
    assert [piece for piece, _ in pieces[:2]] == ["<pad>", "<unk>"]
    assert {"▁", "a", "b", "c", "👍"} <= {piece for piece, _ in pieces} - {"\0", "▅"}
    assert learn_pieces({}, 30) == learn_pieces({"▅": 5}, 30) == pieces[:2]
    assert len(learn_pieces(counts, 1)) == 3
    assert all(score == round(score, 4) for _, score in pieces)


def test_options_left_at_auto_are_the_data_sets():
    assert Spam().tokenizer.max_length == 250
    assert Spam().tokenizer.vocab_size is None
    assert Spam(tokenizer=WordTokenizer(20)).tokenizer.max_length == 20
    assert IMDB().tokenizer.vocab_size == 20_000


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"tokens": ["a", "a"], "max_length": None},
        {"tokens": ["a"], "max_length": 0},
        {"tokens": ["\ud800"], "max_length": None},
    ],
)
def test_a_damaged_state_is_refused(state):
    with pytest.raises(UserError, match=r"tokenizer\."):
        WordTokenizer().load_state_dict(state)


def test_wrong_options_are_refused():
    for options in ({"max_length": 0}, {"truncation_side": "head"}, {"vocab_size": "many"}):
        with pytest.raises(OptionError, match=next(iter(options))):
            WordTokenizer(**options)


class FirstWords(WordTokenizer):
    """The first three words of each text."""

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        return truncate(*super().encode(texts), 3, "right")


def test_a_subclass_encodes_a_data_set_as_single_texts(kaggle_dir, tmp_path):
    data = IMDB(dir=str(kaggle_dir), cache=str(tmp_path), tokenizer=FirstWords(10))
    data.setup()
    assert data.dataset.texts.lengths.max() == 3
