"""Descriptions of a data set without training, and the same figures in every run."""

import io
import json
import re

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import seqtext.training.describe_data
from tests.conftest import BAD, write_vectors

PICTURES = ["class_shares", "distinctive_words", "text_lengths"]


def test_description_from_the_command_line(train, small, tmp_path):
    status, output, error = train(*small, "mode=describe")
    assert status == 0, error
    (folder,) = (tmp_path / "outputs").iterdir()
    assert folder.name.startswith("imdb-description_")
    assert sorted(file.stem for file in (folder / "figures").glob("*.png")) == PICTURES
    assert not (folder / "checkpoints").exists()
    assert not (folder / "metrics.json").exists()
    found = json.loads((folder / "description.json").read_text())
    assert sum(found["rows"]["train"]) == 172
    distinctive = {one["name"]: list(one["distinctive_words"]) for one in found["classes"]}
    assert set(distinctive["negative"][:3]) < set(BAD)
    for said in ("negative", "median", "most distinctive", "as a model reads it", str(folder.name)):
        assert said in output


def test_coverage_of_pretrained_vectors(train, small, tmp_path):
    path = write_vectors(tmp_path / "v.txt", "film 1 2 3\nplot 4 5 6\n")
    vectors = ["embedding=glove", f"embedding.path={path}", "embedding.dim=3"]
    options = [option for option in small if not option.startswith("embedding.")]
    status, output, error = train(*options, *vectors, "mode=describe")
    assert status == 0, error
    assert re.search(
        r"2 of \d+ tokens \(.* %\), which are .* % of the training texts' tokens", output
    )


def test_impossible_options_are_refused(train, small, tmp_path):
    status, _, error = train(*small, "mode=describe", "tokenizer.max_length=-1")
    assert status == 2
    assert "tokenizer.max_length" in error
    assert not list((tmp_path / "outputs").iterdir())


@pytest.mark.slow
def test_every_run_shows_the_pictures_drawn_once(train, small, tmp_path, monkeypatch):
    assert train(*small, "trainer.max_epochs=1")[0] == 0
    monkeypatch.setattr(
        seqtext.training.describe_data,
        "compute_data_statistics",
        lambda _: pytest.fail("drawn again"),
    )
    assert train(*small, "trainer.max_epochs=1", "seed=1")[0] == 0
    for run in (tmp_path / "outputs").iterdir():
        events = EventAccumulator(str(run), {"images": 0}).Reload()
        for name in PICTURES:
            (event,) = events.Images(f"data/{name}")
            assert event.step == 0
            assert Image.open(io.BytesIO(event.encoded_image_string)).size[0] > 300


@pytest.mark.slow
@pytest.mark.parametrize("folds", [1, 2])
def test_a_sweep_of_descriptions(train, small, folds, tmp_path):
    status, _, error = train("-m", *small, "mode=describe", f"split.seed={','.join('12'[:folds])}")
    assert status == 0, error
    assert len(list(tmp_path.glob("outputs/*/*/description.json"))) == folds


def test_an_unknown_mode_is_refused(train, small, tmp_path):
    status, _, error = train(*small, "mode=look")
    assert status == 2
    assert "mode=look is not possible: it must be one of train, describe, test." in error
    assert not list((tmp_path / "outputs").iterdir())
