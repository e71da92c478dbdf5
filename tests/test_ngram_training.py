"""Character n-grams in whole runs: on two processes, in bf16, and from a checkpoint."""

import pytest

from seqtext import load


@pytest.mark.parametrize(
    "options",
    [
        ["embedding=ngrams", "embedding.buckets=500"],
        pytest.param(
            ["embedding=ngrams", "trainer.devices=2"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["embedding=ngrams", "trainer.precision=bf16-mixed"], marks=pytest.mark.slow),
        pytest.param(["model=wide_and_deep", "model.max_n=3"], marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_unknown_words_are_told_apart(options, small, train, tmp_path):
    status, _, error = train(*small, *options, "name=run", f"paths.output_dir={tmp_path}")
    assert status == 0, error
    model = load(tmp_path / "run")
    first, again, other = model.predict_proba(["wonderfull", "wonderfull", "dreadfull"])
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
