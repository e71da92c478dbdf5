"""The studies as `experiment=` files: each job can be built, and is what the study had."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from omegaconf import DictConfig
from torch import nn

from seqtext.config.instantiate import build
from seqtext.config.run_config import checked_options
from seqtext.embeddings.modules import LearnedEmbedding
from seqtext.run_dir import RunFolder
from seqtext.training.train import run
from tests.conftest import ROOT, csv_of, invented_reviews, settings_of, write_vectors
from tests.data.test_sets import CLOTHES, MAILS, REVIEWS, TWEETS

FOLDER = ROOT / "conf" / "experiment"
NAMES = sorted(str(f.relative_to(FOLDER).with_suffix("")) for f in FOLDER.rglob("[!_]*.yaml"))
STUDIED = [name for name in NAMES if not name.endswith("/best")]
OURS = [name for name in NAMES if name.endswith(("/best", "/tfidf"))]

JOBS = {
    "amazon/architectures": 6,
    "clothing/winners": 4,
    "imdb/grid": 18,
    "spam/folds": 10,
    "spam/regimes": 6,
    "spam/tuned": 2,
    "spam/vectors": 3,
    "tweets/depth": 2,
    "tweets/length": 3,
    "tweets/vocabulary": 2,
    "tweets/width": 3,
}
AGAIN = {"imdb/grid_relu": "imdb/grid"}  # the same jobs with another activation
CANDIDATES = {  # in the whole of a search's space
    "clothing/search_lstm2": 5**2 * 5**3 * 4,
    "clothing/search_gru1": 7 * 5**2 * 4,
    "clothing/search_gru2": 4**2 * 5**3 * 4,
    "clothing/search_gru4": 4**4 * 5**5 * 4,
    "tweets/search": 5 * (3 + 9) * 6,
}


@cache
def sweep_of(name: str) -> DictConfig | None:
    """Hydra's sweeper as the experiment sets it; None where it is a single run."""
    if "mode: MULTIRUN" not in (FOLDER / f"{name}.yaml").read_text():
        return None
    with initialize_config_dir(str(ROOT / "conf")):
        hydra = compose("config", [f"experiment={name}"], return_hydra_config=True).hydra
    assert hydra.mode == RunMode.MULTIRUN
    return hydra.sweeper


@cache
def settings_with(name: str, *overrides: str) -> dict[str, Any]:
    """The settings of one job."""
    return settings_of(*overrides, f"experiment={name}")


def lines(sweeper: DictConfig) -> list[str]:
    return [f"{key}={value}" for key, value in sweeper.params.items()]


def jobs_of(name: str) -> list[list[str]]:
    """The overrides of each job; of a search, the candidates at both ends of its space."""
    sweeper = sweep_of(name)
    if sweeper is None:
        return [[]]
    if name in CANDIDATES:
        space = create_params_from_overrides(lines(sweeper))[0]
        return [[f"{key}={d.choices[end]}" for key, d in space.items()] for end in (0, -1)]
    overrides = OverridesParser.create().parse_overrides(lines(sweeper))
    jobs = BasicSweeper.split_arguments(overrides, None)[0]
    return [jobs[0], jobs[-1]] if name in AGAIN else jobs


def classes_of(name: str) -> int:
    return 5 if name.startswith("clothing/") else 2


@pytest.mark.parametrize("name", NAMES)
def test_every_job_can_be_built(name):
    jobs = [settings_with(name, *job) for job in jobs_of(name)]
    assert len({str(settings) for settings in jobs}) == JOBS.get(name, len(jobs))
    for settings in jobs:
        options, _ = checked_options(settings)
        options.check_for_classes([str(number) for number in range(classes_of(name))])
        assert settings["dataset"]["_target_"].lower().endswith(name.split("/")[0])
        if name not in OURS:
            does_without_what_the_studies_had_not(settings, clips=name.startswith("spam/"))


def does_without_what_the_studies_had_not(settings: dict[str, Any], clips: bool) -> None:
    assert settings["model"]["word_dropout"] == 0
    assert settings["model"]["dropout"] < 0.5
    assert settings["schedule"] == "none"
    assert bool(settings["trainer"]["gradient_clip_val"]) == clips


def test_every_sweep_is_counted():
    assert {name for name in NAMES if sweep_of(name)} == {*JOBS, *AGAIN, *CANDIDATES}
    for name, first in AGAIN.items():
        assert sweep_of(name).params == sweep_of(first).params


@pytest.mark.parametrize(("name", "count"), CANDIDATES.items())
def test_searches_are_random_in_the_studies_spaces(name, count):
    sweeper = sweep_of(name)
    assert sweeper.sampler._target_ == "optuna.samplers.RandomSampler"
    expected = (20, 3) if name == "tweets/search" else (50, None)
    assert (sweeper.n_trials, sweeper.folds) == expected
    sizes = [len(d.choices) for d in create_params_from_overrides(lines(sweeper))[0].values()]
    assert math.prod(sizes) == count


@pytest.mark.parametrize("name", STUDIED)
def test_two_lines_say_what_it_is(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    assert re.match(r"# @package _global_\n# Reproduces .+\.\n# Repairs: .+\.\n(?!#)", text), text


@pytest.mark.parametrize(
    ("name", "rate", "epsilon", "batch", "epochs", "patience"),
    [
        ("spam/regimes", 1e-4, 5e-5, 32, 8, None),
        ("spam/lstm_batch8", 1e-4, 5e-5, 8, 8, None),
        ("spam/tuning/dropout_3", 1e-3, 1e-7, 64, 8, None),
        ("spam/tuning/dropout_4", 1e-3, 1e-6, 64, 8, None),
        ("amazon/architecture/cnn", 1e-3, 1e-7, 16, 10, None),
        ("amazon/architecture/rnn", 1e-3, 1e-7, 64, 10, None),
        ("amazon/architecture/lstm", 1e-3, 1e-7, 32, 10, None),
        ("tweets/lstm", 1e-4, 1e-7, 256, 80, 5),
        ("tweets/regularised", 1e-4, 1e-7, 256, 80, 5),
        ("imdb/grid", 1e-4, 1e-7, 32, 100, 5),
        ("clothing/winner/lstm2", 1e-3, 1e-7, 32, 15, 5),
        ("clothing/winner/gru4", 1e-2, 1e-7, 32, 15, 5),
    ],
)
def test_training_is_as_in_the_studies(name, rate, epsilon, batch, epochs, patience):
    settings = settings_with(name, *jobs_of(name)[0])
    optimizer = settings["optimizer"]
    assert optimizer["_target_"] == "torch.optim.Adam"
    assert (optimizer["lr"], optimizer["eps"]) == (rate, epsilon)
    assert settings["dataset"]["batch_size"] == batch
    assert (settings["trainer"]["max_epochs"], settings["patience"]) == (epochs, patience)


def trained(*modules: nn.Module) -> list[int]:
    """How many parameters of each are trained."""
    return [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in modules]


def network_of(name: str, job: int = 0) -> nn.Module:
    settings = settings_with(name, *jobs_of(name)[job])
    embedding = LearnedEmbedding(9, settings["embedding"]["dim"])
    return build("model", settings["model"], embedding=embedding, classes=classes_of(name))


@pytest.mark.parametrize(
    ("name", "job", "layers", "output"),
    [
        ("spam/regimes", 0, [15_100], 101),
        ("spam/regimes", 2, [60_400], 101),
        ("spam/regimes", 4, [45_600], 101),
        ("clothing/winners", 0, [42_240, 98_816], 645),
        ("clothing/winners", 1, [274_944], 1_285),
        ("clothing/winners", 2, [2_640, 1_248], 85),
        ("clothing/winners", 3, [2_640, 4_032, 6_336, 6_336], 165),
    ],
)
def test_parameters_are_those_of_the_studies(name, job, layers, output):
    network = network_of(name, job)
    assert trained(*network.layers) == layers
    assert trained(network.output) == [output]


def test_two_chains_end_in_a_verdict_and_a_state():
    network = network_of("spam/chains")
    assert trained(*network.chains, network.verdict, network.output) == [45_600, 45_600, 101, 102]


def invented(name: str, folder: Path) -> None:
    """The files of a data set."""
    files = {
        "spam": {"emails.csv": MAILS},
        "amazon": {"train.ft.txt": REVIEWS, "test.ft.txt": REVIEWS.replace("Title", "Name")},
        "tweets": {"train.csv": TWEETS},
        "imdb": {"IMDB Dataset.csv": csv_of(invented_reviews(60))},
        "clothing": {"Womens Clothing E-Commerce Reviews.csv": CLOTHES},
    }
    for file, content in files[name].items():
        (folder / file).write_text(content)


@pytest.mark.parametrize(
    ("name", "job", "smaller"),
    [
        ("spam/folds", -1, ["model.units=4", "dataset.length=20"]),
        ("amazon/architectures", 0, ["model.filters=[4,4,4]", "split.limit=90"]),
        ("tweets/depth", -1, ["model.units=[4,3,2]", "model.dense=[4,3]"]),
        ("imdb/grid_relu", -1, ["model.units=4", "embedding.dim=3"]),
        ("clothing/search_gru4", 0, []),
    ],
)
def test_a_job_trains(name, job, smaller, tmp_path):
    invented(name.split("/")[0], tmp_path)
    vectors = write_vectors(tmp_path / "v.txt", "film 1 2 3\nplot 4 5 6\n")
    smaller = [*smaller, *([f"embedding.path={vectors}"] if "imdb" in name else [])]
    here = [f"dataset.dir={tmp_path}", f"cache={tmp_path / 'cache'}", "trainer=cpu"]
    overrides = [*jobs_of(name)[job], *here, "trainer.max_epochs=1", *smaller]
    settings = settings_with(name, *overrides)
    folder = RunFolder(tmp_path / "run")
    run(settings, folder)
    assert folder.finished()["dataset"] == name.split("/")[0]
