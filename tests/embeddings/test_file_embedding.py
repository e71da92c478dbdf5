"""`embedding=file`: the dimension of the file, a complete run, and messages."""

import numpy as np
import pytest

from seqtext.config.embedding import list_vector_files
from seqtext.datasets.tweets import Tweets
from seqtext.embeddings.pretrained import FileEmbedding
from seqtext.errors import UserError
from seqtext.inference.load_model import load_model
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import BAD, GOOD, PLAIN, settings_of

FILE = ("embedding=file", "embedding.dim=null")


def test_run_without_the_file_afterwards(small, tmp_path):
    """The dimension is the file's; the checkpoint is complete on its own."""
    words = [*GOOD, *BAD, *PLAIN]
    table = np.random.default_rng(0).normal(size=(len(words), 5)).astype(np.float32)
    path = tmp_path / "mine.npy"
    np.save(path, table)
    path.with_suffix(".txt").write_text("\n".join(words))
    options = (*small, *FILE, f"embedding.path={path}", "trainer.max_epochs=1")
    run = RunDir(tmp_path / "run")
    train_and_evaluate(settings_of(*options), run)
    metrics = run.read_metrics()
    assert metrics["settings"]["embedding"]["dim"] is None
    assert metrics["fingerprints"]["vectors"]
    for file in tmp_path.glob("mine.*"):
        file.unlink()
    loaded = load_model(run.best_checkpoint)
    weight = loaded.model.embedding.weight
    assert weight.shape == (len(loaded.tokenizer.vocabulary), 5)
    number = loaded.tokenizer.vocabulary.tokens.index("superb")
    assert weight[number + 2].tolist() == table[words.index("superb")].tolist()


def test_files_are_watched_with_their_words(tmp_path):
    for name in ("v.npy", "v.json"):
        (tmp_path / name).write_text("")
    options = (*FILE, f"embedding.path={tmp_path / 'v.npy'}", "embedding.dim=3")
    assert [f.name for f in list_vector_files(settings_of(*options), Tweets())] == [
        "v.npy",
        "v.json",
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (None, r"embedding=file needs a file: give embedding\.path=vectors\.txt"),
        ("none.txt", r"embedding\.path=none\.txt: there is no such file"),
        (".", r"embedding\.path=\. is a folder: name a file in it"),
    ],
)
def test_bad_path(path, message):
    with pytest.raises(UserError, match=message):
        list_vector_files(settings_of(*FILE, f"embedding.path={path or 'null'}"), Tweets())


def test_dimension_is_needed_in_code():
    with pytest.raises(UserError, match="FileEmbedding needs dim"):
        FileEmbedding(9)
    assert FileEmbedding(9, dim=3).weight.shape == (9, 3)
