"""Vocabularies that keep unknown tokens apart."""

import pyarrow as pa

from seqtext.tokenizers.vocabulary import KnownIds, OpenVocabulary, Vocabulary


def test_unknown_tokens_have_ids_after_the_known_ones():
    closed = Vocabulary(["film", "good"])
    vocabulary = OpenVocabulary(closed)
    tokens = pa.array(["good", "flim", "film", "goood", "flim"])
    ids = vocabulary.encode(tokens)
    assert ids.tolist() == [3, 4, 2, 5, 4]
    assert vocabulary.unknown_tokens == ["flim", "goood"]
    assert [vocabulary.token(int(i)) for i in ids] == tokens.to_pylist()
    assert len(vocabulary) == len(closed)
    assert KnownIds(ids, len(vocabulary))[1:].tolist() == closed.encode(tokens)[1:].tolist()
    vocabulary.forget_unknown_tokens()
    assert vocabulary.encode(pa.array(["goood"])).tolist() == [4]


def test_unknown_tokens_are_restored():
    vocabulary = OpenVocabulary(Vocabulary(["film"]), ["flim"])
    assert vocabulary.encode(pa.array(["new", "flim"])).tolist() == [4, 3]
