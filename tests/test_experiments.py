"""The published studies: documented commands compose to the studies' settings, and train."""

import math
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from omegaconf import DictConfig, OmegaConf
from torch import nn

from seqtext.config.instantiate import build_from_config
from seqtext.config.run_config import validate_config
from seqtext.embeddings.random import RandomEmbedding
from seqtext.run_dir import RunDir
from seqtext.training.train import train_and_evaluate
from tests.conftest import ROOT, csv_of, invented_reviews, settings_of, write_vectors
from tests.data.test_sets import CLOTHES, MAILS, REVIEWS, TWEETS

CONF = ROOT / "conf"
FOLDER = CONF / "experiment"
FILES = sorted(str(f.relative_to(FOLDER).with_suffix("")) for f in FOLDER.rglob("*.yaml"))
NAMES = [name for name in FILES if "/_" not in name and name != "race"]  # of the studies
STUDIES = sorted((ROOT / "docs" / "studies").glob("*.md"))
COMMAND = re.compile(r"^python train\.py (.*experiment=.*|.*model=tfidf.*)$", re.MULTILINE)


def read_commands(*files: Path) -> list[str]:
    """Return the arguments of the training commands in the documentation."""
    lines = [line for file in files for line in COMMAND.findall(file.read_text())]
    return [line.split(" # ")[0].strip() for line in lines]


DOCUMENTED = read_commands(*STUDIES)
OTHERS = [
    command
    for command in read_commands(ROOT / "README.md", ROOT / "RESULTS.md")
    if "glob(" not in command and "experiment=race" not in command  # see tests/sweeps
]
JOBS = {  # of the documented commands that begin so; all others are single runs
    "experiment=spam/cells_and_sampling": 6,
    "experiment=spam/cells_and_sampling name=spam-folds": 10,
    "experiment=spam/dual_rnn -m": 3,
    "-m name=amazon-networks": 4,
    "experiment=tweets/regularized -m name=tweets-width": 3,
    "experiment=tweets/regularized -m name=tweets-depth": 2,
    "experiment=tweets/regularized -m name=tweets-length": 3,
    "experiment=tweets/regularized -m name=tweets-vocabulary": 2,
    "experiment=imdb/grid": 18,
    "experiment=imdb/grid name=imdb-grid_relu": 18,
}
CANDIDATES = {  # in the whole of a search's space
    "clothing/search_lstm2": 5**2 * 5**3 * 4,
    "clothing/search_gru1": 7 * 5**2 * 4,
    "clothing/search_gru2": 4**2 * 5**3 * 4,
    "clothing/search_gru4": 4**4 * 5**5 * 4,
    "tweets/search": 5 * (3 + 9) * 6,
}


def find_command(beginning: str) -> str:
    """Return the documented command that equals this, or the only one that starts with it."""
    if beginning in DOCUMENTED:
        return beginning
    (found,) = (command for command in DOCUMENTED if command.startswith(beginning))
    return found


@cache
def read_sweeper(name: str) -> DictConfig | None:
    """Return Hydra's sweeper as the experiment sets it; None for a single run."""
    if "mode: MULTIRUN" not in (FOLDER / f"{name}.yaml").read_text():
        return None
    with initialize_config_dir(str(CONF)):
        hydra = compose("config", [f"experiment={name}"], return_hydra_config=True).hydra
    assert hydra.mode == RunMode.MULTIRUN
    return hydra.sweeper


@cache
def list_jobs(command: str) -> list[list[str]]:
    """Return the overrides of each job; for a search, the candidates at both ends of its space."""
    words = [word for word in shlex.split(command) if word != "-m"]
    given = dict(word.split("=", 1) for word in words)
    jobs = []
    for name in given.pop("experiment", "").split(","):
        sweeper = read_sweeper(name) if name else None
        params = {**sweeper.params} if sweeper else {}
        if name in CANDIDATES:
            space = create_params_from_overrides([f"{k}={v}" for k, v in params.items()])[0]
            found = [[f"{key}={d.choices[end]}" for key, d in space.items()] for end in (0, -1)]
        else:
            lines = [f"{key}={value}" for key, value in {**params, **given}.items()]
            overrides = OverridesParser.create().parse_overrides(lines)
            found = BasicSweeper.split_arguments(overrides, None)[0]
            assert len(found) == 1 or sweeper or "-m" in shlex.split(command), "it lacks -m"
        jobs += [[*([f"experiment={name}"] if name else []), *job] for job in found]
    return jobs


@cache
def compose_job(command: str, job: int = 0) -> dict[str, Any]:
    """Return the settings of one job of a command."""
    return settings_of(*list_jobs(command)[job])


def compose_jobs(command: str) -> list[dict[str, Any]]:
    """Return the settings of each job of a command."""
    return [compose_job(command, job) for job in range(len(list_jobs(command)))]


def check_jobs(command: str, settings: list[dict[str, Any]]) -> None:
    """Check that these settings of a command's jobs are valid and differ."""
    assert len({str(each) for each in settings}) == len(settings), command
    for each in settings:
        options, _ = validate_config(each)
        options.check_for_classes([str(number) for number in range(count_classes(each))])


def count_classes(settings: dict[str, Any]) -> int:
    return 5 if "clothing" in settings["dataset"]["_target_"] else 2


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(c, marks=pytest.mark.slow)
        if "imdb/" in c and c != "experiment=imdb/best"
        else c
        for c in dict.fromkeys([*DOCUMENTED, *OTHERS])
    ],
)
def test_first_and_last_job_can_be_built(command):
    jobs = list_jobs(command)
    assert len({tuple(job) for job in jobs}) == len(jobs)
    has_only_other_seeds = all(o.startswith("seed=") for o in {*jobs[0]} - {*jobs[-1]})
    ends = [0] if has_only_other_seeds else [0, -1]
    check_jobs(command, [compose_job(command, job) for job in ends])


@pytest.mark.slow
@pytest.mark.parametrize("command", [*dict.fromkeys([*DOCUMENTED, *OTHERS])])
def test_every_job_can_be_built(command):
    check_jobs(command, compose_jobs(command))


@pytest.mark.slow
def test_every_study_and_experiment_is_documented():
    assert [file.stem for file in STUDIES] == sorted({name.split("/")[0] for name in NAMES})
    for file in STUDIES:
        (title,) = re.findall(r"^# (.+)$", file.read_text(), re.MULTILINE)[:1]
        assert len(title) < 90
        commands = read_commands(file)
        found = {n for c in commands for n in re.findall(rf"\b{file.stem}/\w+", c)}
        assert found == {name for name in NAMES if name.startswith(f"{file.stem}/")}
        targets = {job["dataset"]["_target_"] for c in commands for job in compose_jobs(c)}
        assert [target.split(".")[2] for target in targets] == [file.stem]


def test_commands_have_as_many_jobs_as_the_studies():
    jobs = {find_command(beginning): count for beginning, count in JOBS.items()}
    searches = [f"experiment={name}" for name in CANDIDATES]
    for command in DOCUMENTED:
        if command not in searches:
            assert len(list_jobs(command)) == jobs.get(command, 1), command


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        c
        for c in DOCUMENTED
        if not any(own in c for own in ("/best", "/linear", "/characters", "/mixed", "tfidf"))
    ],
)
def test_networks_do_without_what_the_studies_had_not(command):
    for settings in compose_jobs(command):
        assert settings["model"]["word_dropout"] == 0
        assert settings["model"]["variational_dropout"] < 0.5
        assert settings["scheduler"]["_target_"] == "seqtext.optim.Constant"
        assert bool(settings["trainer"]["gradient_clip_val"]) == ("spam/" in command)


def has_options(choice: str) -> bool:
    """Return whether a choice sets options; scheduler=none has none."""
    content = yaml.safe_load((CONF / f"{choice}.yaml").read_text())
    return any(not key.startswith("_") for key in content)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_opens_five_files_at_most(name):
    """The experiment, its bases, and the choices that it names, without Hydra's own and lists."""
    files, names, choices = [], [f"/experiment/{name}"], {}
    while names:
        file = names.pop()
        content = yaml.safe_load((CONF / f"{file.lstrip('/')}.yaml").read_text())
        files.append(file)
        for entry in content.get("defaults", []):
            if isinstance(entry, str) and entry != "_self_":
                names.append(f"/experiment/{entry}")
            elif isinstance(entry, dict):
                ((key, choice),) = entry.items()
                choices.setdefault(key.removeprefix("override ").strip("/"), choice)
    named = [f"{group}/{choice}" for group, choice in choices.items()]
    named = [file for file in named if "hydra/" not in file and "[" not in file]
    files += [file for file in named if has_options(file)]
    assert 3 <= len(files) <= 5, files


@pytest.mark.parametrize("name", FILES)
def test_one_line_says_what_a_file_is(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    assert re.match(r"# @package _global_\n# [A-Z].+\.\ndefaults:", text), text


@pytest.mark.parametrize(("name", "count"), CANDIDATES.items())
def test_searches_are_random_in_the_studies_spaces(name, count):
    sweeper = read_sweeper(name)
    assert sweeper.sampler._target_ == "optuna.samplers.RandomSampler"
    expected = (20, 3) if name == "tweets/search" else (50, None)
    assert (sweeper.n_trials, sweeper.folds) == expected
    params = [f"{key}={value}" for key, value in sweeper.params.items()]
    assert (
        math.prod(len(d.choices) for d in create_params_from_overrides(params)[0].values()) == count
    )


@pytest.mark.parametrize(
    ("beginning", "rate", "epsilon", "batch", "epochs", "patience"),
    [
        ("experiment=spam/cells_and_sampling", 1e-4, 5e-5, 32, 8, None),
        ("experiment=spam/cells_and_sampling name=spam-lstm_batch8", 1e-4, 5e-5, 8, 8, None),
        ("experiment=spam/cells_and_sampling name=spam-folds", 1e-4, 5e-5, 32, 8, None),
        ("experiment=spam/tuned", 1e-3, 1e-7, 64, 8, None),
        ("experiment=spam/tuned model.variational_dropout=0.4", 1e-3, 1e-6, 64, 8, None),
        ("experiment=spam/dual_rnn", 1e-4, 5e-5, 32, 8, None),
        ("experiment=amazon/cnn", 1e-3, 1e-7, 16, 10, None),
        ("experiment=amazon/rnn", 1e-3, 1e-7, 64, 10, None),
        ("experiment=amazon/lstm", 1e-3, 1e-7, 32, 10, None),
        ("experiment=amazon/lstm embedding.dim=50", 1e-3, 1e-7, 32, 10, None),
        ("experiment=amazon/attention", 1e-3, 1e-7, 32, 10, None),
        ("experiment=tweets/lstm", 1e-4, 1e-7, 256, 80, 5),
        ("experiment=tweets/regularized", 1e-4, 1e-7, 256, 80, 5),
        ("experiment=imdb/grid", 1e-4, 1e-7, 32, 100, 5),
        ("experiment=clothing/best_published", 1e-3, 1e-7, 32, 15, 5),
        (
            "experiment=clothing/best_published model=gru 'model.units=[8,32,32,32]'",
            1e-2,
            1e-7,
            32,
            15,
            5,
        ),
    ],
)
def test_training_is_as_in_the_studies(beginning, rate, epsilon, batch, epochs, patience):
    settings = compose_job(find_command(beginning))
    optimizer = settings["optimizer"]
    assert optimizer["_target_"] == "torch.optim.Adam"
    assert (optimizer["lr"], optimizer["eps"]) == (rate, epsilon)
    assert settings["dataset"]["batch_size"] == batch
    assert (settings["trainer"]["max_epochs"], settings["patience"]) == (epochs, patience)


def count_trained(*modules: nn.Module) -> list[int]:
    """Return the number of trainable parameters of each module."""
    return [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in modules]


def build_network(beginning: str, job: int = 0) -> nn.Module:
    settings = compose_job(find_command(beginning), job)
    embedding = RandomEmbedding(9, settings["embedding"]["dim"])
    return build_from_config(
        "model", settings["model"], embedding=embedding, classes=count_classes(settings)
    )


WINNER = "experiment=clothing/best_published"


@pytest.mark.parametrize(
    ("beginning", "job", "layers", "output"),
    [
        ("experiment=spam/cells_and_sampling", 0, [15_100], 101),
        ("experiment=spam/cells_and_sampling", 2, [60_400], 101),
        ("experiment=spam/cells_and_sampling", 4, [45_600], 101),
        ("experiment=spam/tuned", 0, [45_600], 101),
        (WINNER, 0, [42_240, 98_816], 645),
        (f"{WINNER} model=gru model.units=256", 0, [274_944], 1_285),
        (f"{WINNER} model=gru 'model.units=[8,16]'", 0, [2_640, 1_248], 85),
        (f"{WINNER} model=gru 'model.units=[8,32,32,32]'", 0, [2_640, 4_032, 6_336, 6_336], 165),
    ],
)
def test_parameters_are_those_of_the_studies(beginning, job, layers, output):
    network = build_network(beginning, job)
    assert count_trained(*network.layers) == layers
    assert count_trained(network.output) == [output]


def test_dual_rnn_ends_in_a_verdict_and_a_state():
    network = build_network("experiment=spam/dual_rnn")
    parts = (*network.rnns, network.rnn_output, network.output)
    assert count_trained(*parts) == [45_600, 45_600, 101, 102]


RELU, DROPOUTS = "model.activation", ("model.embedding_dropout", "model.head_dropout")


@pytest.mark.parametrize(
    ("beginning", "job", "values"),
    [
        (
            "experiment=spam/cells_and_sampling name=spam-folds",
            -1,
            {"split.folds": 5, "split.fold": 4},
        ),
        (
            "experiment=spam/tuned",
            0,
            {"model.variational_dropout": 0.3, "model.recurrent_dropout": 0.3},
        ),
        (
            "experiment=spam/tuned model",
            0,
            {"model.variational_dropout": 0.4, "model.recurrent_dropout": 0.4},
        ),
        ("experiment=spam/dual_rnn -m", 1, {"embedding.dim": 100, "embedding.freeze": True}),
        ("experiment=spam/dual_rnn -m", 2, {"embedding.dim": 300, "embedding.freeze": True}),
        ("experiment=amazon/rnn tokenizer", 0, {"tokenizer.max_length": 50}),
        ("experiment=amazon/lstm embedding", 0, {"model.units": 64, "model.head_units": 256}),
        ("experiment=tweets/regularized", 0, {"model.units": 512, "model.batch_norm": True}),
        ("experiment=tweets/regularized -m name=tweets-width", 2, {"model.units": 1024}),
        (
            "experiment=tweets/regularized -m name=tweets-depth",
            1,
            {"model.units": [1024, 512, 256]},
        ),
        ("experiment=tweets/regularized -m name=tweets-length", 2, {"tokenizer.max_length": 74}),
        (
            "experiment=tweets/regularized -m name=tweets-vocabulary",
            1,
            {"tokenizer.vocab_size": 50000},
        ),
        ("experiment=imdb/grid", -1, {RELU: "tanh", "model.units": 128, "model.head_units": 128}),
        ("experiment=imdb/grid name=imdb-grid_relu", 0, {RELU: "relu", "embedding.dim": 100}),
        (
            WINNER,
            0,
            dict(zip(DROPOUTS, (0.1, 0.1), strict=True)) | {"model.inter_layer_dropout": 0.3},
        ),
        (f"{WINNER} model=gru model.units=256", 0, dict(zip(DROPOUTS, (0.3, 0), strict=True))),
        (
            f"{WINNER} model=gru 'model.units=[8,16]'",
            0,
            dict(zip(DROPOUTS, (0.1, 0.2), strict=True)),
        ),
        (f"{WINNER} model=gru 'model.units=[8,32", 0, dict(zip(DROPOUTS, (0.3, 0.2), strict=True))),
        (
            "dataset=spam model=tfidf",
            0,
            {"dataset.duplicates": "drop"},
        ),
        (
            "dataset=amazon model=tfidf",
            0,
            {"split.use_official_split": True},
        ),
        (
            "dataset=tweets model=tfidf",
            0,
            {"split.test_size": 0.1, "class_weights": "inverse_to_largest"},
        ),
        ("dataset=imdb model=tfidf", 0, {"split.stratify": False, "split.val_size": 0.2}),
        (
            "dataset=clothing model=tfidf",
            0,
            {"split.val_size": 0.3},
        ),
    ],
)
def test_values_are_those_of_the_studies(beginning, job, values):
    settings = OmegaConf.create(compose_job(find_command(beginning), job))
    assert {option: OmegaConf.select(settings, option) for option in values} == values


def write_dataset(name: str, folder: Path) -> None:
    """Write generated files of a data set."""
    files = {
        "spam": {"emails.csv": MAILS},
        "amazon": {"train.ft.txt": REVIEWS, "test.ft.txt": REVIEWS.replace("Title", "Name")},
        "tweets": {"train.csv": TWEETS},
        "imdb": {"IMDB Dataset.csv": csv_of(invented_reviews(60))},
        "clothing": {"Womens Clothing E-Commerce Reviews.csv": CLOTHES},
    }
    for file, content in files[name].items():
        (folder / file).write_text(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "beginning", "job", "smaller"),
    [
        (
            *("spam", "experiment=spam/cells_and_sampling name=spam-folds", -1),
            ["model.units=4", "tokenizer.max_length=20"],
        ),
        (
            "amazon",
            "experiment=amazon/cnn",
            0,
            ["model.filters=[4,4,4]", "split.max_train_examples=90"],
        ),
        (
            *("tweets", "experiment=tweets/regularized -m name=tweets-depth", -1),
            ["model.units=[4,3,2]", "model.head_units=[4,3]"],
        ),
        (
            *("imdb", "experiment=imdb/grid name=imdb-grid_relu", -1),
            ["model.units=4", "embedding.dim=3"],
        ),
        ("clothing", "experiment=clothing/search_gru4", 0, []),
    ],
)
def test_a_job_trains(name, beginning, job, smaller, tmp_path):
    write_dataset(name, tmp_path)
    vectors = write_vectors(tmp_path / "v.txt", "film 1 2 3\nplot 4 5 6\n")
    smaller = [*smaller, *([f"embedding.path={vectors}"] if name == "imdb" else [])]
    here = [f"dataset.dir={tmp_path}", f"paths.cache_dir={tmp_path / 'cache'}", "trainer=cpu"]
    overrides = [*list_jobs(find_command(beginning))[job], *here, "trainer.max_epochs=1", *smaller]
    settings = settings_of(*overrides)
    folder = RunDir(tmp_path / "run")
    train_and_evaluate(settings, folder)
    assert folder.read_metrics()["dataset"] == name
