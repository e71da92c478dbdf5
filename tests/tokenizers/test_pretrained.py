"""A tokenizer.json that others trained: from a file, a folder or a package; in a checkpoint."""

import base64
import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import (
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from seqtext.errors import UserError
from seqtext.token_ids import UNKNOWN
from seqtext.tokenizers.pretrained import PretrainedTokenizer, find_tokenizer_file
from seqtext.tokenizers.text_growth import compute_growth

TEXTS = ["a good film", "a bad film", "good, good actors"] * 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write a WordPiece tokenizer as BERT's, and a byte-level one as GPT-2's."""
    folder = tmp_path_factory.mktemp("files")
    bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    bert.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=60, special_tokens=special)
    )
    bert.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    bert.enable_truncation(2)
    bert.enable_padding()
    bert.save(str(folder / "bert.json"))
    gpt = Tokenizer(models.BPE())
    gpt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    gpt.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet))
    (folder / "gpt").mkdir()
    gpt.save(str(folder / "gpt" / "tokenizer.json"))
    return folder


def fitted(path, **options) -> PretrainedTokenizer:
    tokenizer = PretrainedTokenizer(str(path), **options)
    tokenizer.fit(None, np.array([]))  # it does not read the texts
    return tokenizer


def exported_ids(tokenizer: PretrainedTokenizer, text: str) -> list[int]:
    """Return the ids that another program finds by the exported tokenizer.json."""
    made = Tokenizer.from_str(tokenizer.build_hugging_face_tokenizer().to_str())
    ids, ours = made.encode(text, add_special_tokens=False).ids, tokenizer.list_ids()
    return ids if ours is None else np.array(ours)[ids].tolist()


def test_tokens_are_those_of_the_file(files):
    text = "a good film 🙂"
    for path, unknown in ((files / "bert.json", 1), (files / "gpt", 0)):
        tokenizer = fitted(path)
        theirs = Tokenizer.from_file(str(find_tokenizer_file(str(path))))
        theirs.no_truncation()
        wanted = theirs.encode(text, add_special_tokens=False)
        ids, lengths = tokenizer.encode(pa.array([text, ""]))
        assert lengths.tolist() == [len(wanted.ids), 1]
        assert (ids == UNKNOWN).sum() == unknown + 1, "an empty text is one unknown token"
        tokens = [token for token in wanted.tokens if token != "[UNK]"]
        assert [token for token in tokenizer.decode(ids) if token != "<unk>"] == tokens
        assert tokenizer.find_spans(text).tolist() == [list(span) for span in wanted.offsets]
        assert len(tokenizer.encode(pa.array([text * 9]))[0]) > 20, "its truncation is not used"
        assert exported_ids(tokenizer, text) == ids[:-1].tolist()


def test_special_tokens_in_a_text_are_its_characters(files, tmp_path):
    """Also for other programs; other added tokens are tokens."""
    text = "a [MASK] film <pad> [UNK]<s> [CLS] qq"
    for path in (files / "bert.json", files / "gpt" / "tokenizer.json"):
        changed = Tokenizer.from_file(str(path))
        changed.add_special_tokens(["<s>", "[MASK]", "<pad>"])
        changed.add_tokens(["qq"])
        changed.save(str(tmp_path / "tokenizer.json"))
        tokenizer = fitted(tmp_path)
        ids = tokenizer.encode(pa.array([text]))[0]
        tokens = tokenizer.decode(ids)
        assert tokens[-1] == "qq"
        assert not {"<s>", "[MASK]", "<pad>", "[UNK]", "[CLS]"} & set(tokens)
        assert exported_ids(tokenizer, text) == ids.tolist()
        spans = tokenizer.find_spans(text).tolist()
        assert (spans[-1], len(spans)) == ([len(text) - 2, len(text)], len(ids))
        restored = PretrainedTokenizer()
        restored.load_state_dict(tokenizer.state_dict())
        assert restored.encode(pa.array([text]))[0].tolist() == ids.tolist()


def test_white_space_is_one_space_as_in_training(files):
    """Texts of the training part are words that single spaces join."""
    for path in (files / "bert.json", files / "gpt"):
        tokenizer, other = fitted(path), PretrainedTokenizer()
        other.load_state_dict(tokenizer.state_dict())
        text = " a\tgood\x85\x1c\n film\u3000"
        expected = tokenizer.encode(pa.array(["a good film"]))[0].tolist()
        assert tokenizer.encode(pa.array([text]))[0].tolist() == expected
        assert other.encode(pa.array([text]))[0].tolist() == expected
        assert exported_ids(other, text) == expected
        assert other.state_dict() == tokenizer.state_dict()
        first, last = tokenizer.find_spans(text)[[0, -1]].tolist()
        assert (first[0], last[1]) == (1, len(text) - 1)


def test_equal_ids_are_not_listed(files):
    """As of an exported tokenizer of subwords, whose first tokens are <pad> and <unk>."""
    assert fitted(files / "gpt").list_ids()[:3] == [2, 3, 4]
    assert fitted(files / "bert.json").list_ids() is None


def test_a_checkpoint_needs_no_file(files):
    tokenizer = fitted(files / "gpt", max_length=3)
    restored = PretrainedTokenizer("gone", max_length=3)
    restored.load_state_dict(tokenizer.state_dict())
    texts = pa.array([*TEXTS, "new 🙂"])
    for ours, theirs in zip(restored.encode(texts), tokenizer.encode(texts), strict=True):
        assert ours.tolist() == theirs.tolist()
    state = tokenizer.state_dict()
    for damaged, words in (
        ({"tokenizer": "{"}, "not a valid tokenizer.json"),
        ({"tokenizer": None}, "must be a string"),
        ({"tokenizer": state["tokenizer"].replace('":7,', '":4294967290,')}, "an id of 42949672"),
        ({"tokens": ["a"]}, "differ"),
    ):
        with pytest.raises(UserError, match=words):
            PretrainedTokenizer().load_state_dict(state | damaged)


def replace(text: str, content: str) -> normalizers.Normalizer:
    return normalizers.Replace(text, content)


@pytest.mark.parametrize(
    "normalizer",
    [
        replace("a", "b" * 5001),
        normalizers.Sequence([replace(Regex("."), "b" * 32)] * 5),
        normalizers.Sequence([normalizers.NFKD(), replace("", "bc")] * 5),
        normalizers.Prepend("b" * 5000),
    ],
)
def test_texts_cannot_grow_without_limit(normalizer, files, tmp_path):
    tokenizer = fitted(files / "gpt")
    changed = Tokenizer.from_file(str(files / "gpt" / "tokenizer.json"))
    changed.normalizer = normalizer
    with pytest.raises(UserError, match="times longer by its replacements"):
        PretrainedTokenizer().load_state_dict(
            tokenizer.state_dict() | {"tokenizer": changed.to_str()}
        )
    changed.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match=r"tokenizer.path=.* can make a text"):
        fitted(tmp_path)


def test_growth_of_known_normalizers():
    llama = normalizers.Sequence([normalizers.Prepend("▁"), replace(" ", "▁")])
    trie = np.zeros(2, np.uint32).tobytes()
    data = len(trie).to_bytes(4, "little") + trie + b"fi\0abc\0"
    charsmap = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}
    steps = json.loads(Tokenizer(models.BPE()).to_str())
    assert compute_growth(steps["normalizer"]) == 1
    assert compute_growth(charsmap) == 3
    assert compute_growth({"type": "Sequence", "normalizers": [charsmap, charsmap]}) == 9
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer = llama, pre_tokenizers.ByteLevel()
    steps = json.loads(tokenizer.to_str())
    assert compute_growth(steps["normalizer"]) == 12
    assert compute_growth(steps["pre_tokenizer"]) == 4


def test_a_text_that_cannot_be_split_is_told(tmp_path):
    Tokenizer(models.Unigram([("a", -1.0)])).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match=r"cannot split a text: .*unk_id. is missing"):
        fitted(tmp_path).encode(pa.array(["b"]))


def test_long_texts_are_encoded_in_blocks(files, monkeypatch):
    tokenizer = fitted(files / "gpt")
    texts = pa.array([*TEXTS, "", *TEXTS])
    wanted = tokenizer.encode(texts)
    monkeypatch.setattr("seqtext.tokenizers.pretrained.BLOCK_BYTES", 80)
    for ours, theirs in zip(tokenizer.encode(texts), wanted, strict=True):
        assert ours.tolist() == theirs.tolist()


def test_the_content_of_the_file_is_part_of_the_cache_key(files, tmp_path):
    one, other = tmp_path / "tokenizer.json", files / "bert.json"
    one.write_text(other.read_text())
    assert PretrainedTokenizer(str(one)).settings() == PretrainedTokenizer(str(other)).settings()
    one.write_text((files / "gpt" / "tokenizer.json").read_text())
    assert PretrainedTokenizer(str(one)).settings() != PretrainedTokenizer(str(other)).settings()


def test_from_a_package(files, tmp_path, monkeypatch):
    package = tmp_path / "small_words"
    (package / "files").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError")  # it is not imported
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="has none"):
        find_tokenizer_file("small_words")
    (package / "files" / "tokenizer.json").write_text((files / "bert.json").read_text())
    assert fitted("small_words").vocabulary.tokens == fitted(files / "bert.json").vocabulary.tokens
    (package / "en_tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"one tokenizer.json is needed.*en_tokenizer.json"):
        find_tokenizer_file("small_words")
    assert "small_words" not in sys.modules


def test_bad_paths(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')
    for path, words in (
        (None, "tokenizer.path is missing"),
        (str(tmp_path / "none"), "no such file, folder or installed package"),
        (str(tmp_path.parent), "this folder has no tokenizer.json"),
        (str(tmp_path), "is not a valid tokenizer.json"),
    ):
        with pytest.raises(UserError, match=words):
            fitted(path) if path else PretrainedTokenizer().settings()
