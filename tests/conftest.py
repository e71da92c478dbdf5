"""Fixtures: generated reviews in the real file formats, and functions that call the scripts."""

import bz2
import functools
import gzip
import http.server
import io
import logging
import os
import random
import runpy
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start: they share the cores

import pytest
import torch
from hydra import compose, initialize_config_dir
from hypothesis import settings
from omegaconf import OmegaConf

from seqtext.config.settings import CONTROL_OPTIONS
from seqtext.run_dir import RunDir
from seqtext.speedups import pause_garbage_collection

settings.register_profile("suite", deadline=None, derandomize=True)  # no reliance on luck
settings.load_profile("suite")

ROOT = Path(__file__).parent.parent
GOOD = ["wonderful", "brilliant", "moving", "delightful", "superb", "charming"]
BAD = ["dreadful", "boring", "clumsy", "awful", "tedious", "pointless"]
PLAIN = ["the", "film", "a", "plot", "and", "actors", "it", "was", "of", "in", "scene", "camera"]


def invented_reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Generate (review, sentiment) pairs; a few opinion words determine the sentiment."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        sentiment = ("negative", "positive")[number % 2]
        opinion = rng.choices(GOOD if sentiment == "positive" else BAD, k=3)
        words = opinion + rng.choices(PLAIN, k=rng.randint(3, 30))
        rng.shuffle(words)
        rows.append((f'The "film" no. {number},<br />{" ".join(words)}!', sentiment))
    return rows


def csv_of(rows: list[tuple[str, str]], header: tuple[str, ...] = ("review", "sentiment")) -> str:
    """Format rows as in Kaggle's CSV files: quoted, with doubled quotes."""
    lines = [",".join(header)]
    lines += ['"{}",{}'.format(text.replace('"', '""'), label) for text, label in rows]
    return "\n".join(lines) + "\n"


@pytest.fixture
def reviews() -> list[tuple[str, str]]:
    return invented_reviews(240)


@pytest.fixture
def kaggle_dir(tmp_path, reviews) -> Path:
    """Write a folder with `IMDB Dataset.csv`."""
    folder = tmp_path / "imdb"
    folder.mkdir()
    (folder / "IMDB Dataset.csv").write_text(csv_of(reviews))
    return folder


def write_zip(path: Path, rows: list[tuple[str, str]]) -> None:
    """Write the CSV file as a zip archive, with the extra entry that macOS adds."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("IMDB Dataset.csv", csv_of(rows))
        archive.writestr("__MACOSX/._IMDB Dataset.csv", b"\0\1")


def official_members(rows: list[tuple[str, str]]) -> dict[str, str]:
    """Return names and texts as in aclImdb: three quarters train, one quarter test."""
    members = {"aclImdb/README": "about", "aclImdb/train/unsup/0_0.txt": "no label"}
    for number, (text, sentiment) in enumerate(rows):
        part = "test" if number % 8 < 2 else "train"
        side, stars = {"positive": ("pos", 9), "negative": ("neg", 2)}[sentiment]
        members[f"aclImdb/{part}/{side}/{number}_{stars}.txt"] = text
    return members


def write_tar(path: Path, rows: list[tuple[str, str]]) -> None:
    """Write `aclImdb_v1.tar.gz`."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in official_members(rows).items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def write_tree(folder: Path, rows: list[tuple[str, str]]) -> None:
    """Write the extracted `aclImdb/`."""
    for name, text in official_members(rows).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


VECTORS = {
    "the": [0.25, -1.5, 3.0],
    ",": [1e-3, 2.0, 7.0],
    "café": [0.1, 0.2, 0.3],
    "film": [-0.5, 0.125, 9.0],
}


def vectors_text(rows: dict[str, list[float]], header: bool = False) -> str:
    """Format word vectors as in GloVe's files; with a header, as in word2vec's."""
    lines = [f"{len(rows)} {len(next(iter(rows.values())))}"] if header else []
    lines += [f"{word} {' '.join(map(str, numbers))}" for word, numbers in rows.items()]
    return "\n".join(lines) + "\n"


def zip_of(path: Path, members: dict[str, str]) -> Path:
    """Return a zip archive of texts."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def write_vectors(path: Path, text: str, member: str = "glove.6B.3d.txt") -> Path:
    """Write the text, compressed according to the file name."""
    if path.suffix == ".zip":
        return zip_of(path, {member: text})
    pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(text.encode()))
    return path


def settings_of(*overrides: str) -> dict:
    """Compose the configuration from overrides, as plain values."""
    with initialize_config_dir(str(ROOT / "conf")):
        config = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    return {name: value for name, value in config.items() if name not in CONTROL_OPTIONS}


SMALL = (
    "model.units=8",
    "embedding.dim=8",
    "dataset.batch_size=16",
    "optimizer.lr=0.05",
    "model.variational_dropout=0",
    "model.word_dropout=0",
    "model.head_dropout=0",
    "trainer=cpu",
    "trainer.max_epochs=3",
    "monitor=val/auroc",
)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory) -> Path:
    """Return a cache for runs that do not test it: equal rows are prepared and drawn once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def small(kaggle_dir, shared_cache) -> list[str]:
    """Overrides for a run that takes a second, on the generated reviews."""
    return [f"dataset.dir={kaggle_dir}", f"paths.cache_dir={shared_cache}", *SMALL]


@pytest.fixture
def script(monkeypatch, capfd):
    """Return a function that calls a script and returns status, standard output and error."""

    def call(name: str, *arguments: object, full_error: str = "0") -> tuple[int, str, str]:
        handlers = logging.root.handlers[:]
        monkeypatch.setattr(sys, "argv", [str(ROOT / name), *map(str, arguments)])
        monkeypatch.setenv("HYDRA_FULL_ERROR", full_error)
        status = 0
        try:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        except SystemExit as stop:
            status = stop.code or 0
        finally:
            logging.root.handlers[:] = handlers  # without the log of a folder that is deleted
        return status, *capfd.readouterr()

    return call


@pytest.fixture
def train(monkeypatch, script, tmp_path):
    """Return a function that calls train.py in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    return partial(script, "train.py")


@pytest.fixture
def server(tmp_path):
    """Serve a folder on 127.0.0.1; yield the folder and its address."""
    served = tmp_path / "served"
    served.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield served, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


RUN_FILES = {
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
    ".hydra/overrides.yaml",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "figures/confusion_matrix.png",
    "figures/precision_recall.png",
    "figures/roc.png",
    "metrics.json",
    "predictions/test.parquet",
    "predictions/val.parquet",
    "train.log",
}


def files_of_a_run(folder: RunDir) -> set[str]:
    """List the files of a run without the lock and the event files, which must exist."""
    files = {p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*") if p.is_file()}
    events = {name for name in files if name.startswith("events.out.tfevents")}
    assert events
    return files - events - {".lock"}


GENUINE = Path(os.environ.get("SEQTEXT_DATA", ROOT.parent / "shared" / "data")).absolute()


@pytest.fixture
def genuine() -> Path:
    """Return the folder of the real files."""
    if not GENUINE.is_dir():
        pytest.fail(f"The genuine data are not in {GENUINE}: set SEQTEXT_DATA.")
    return GENUINE


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect without garbage collection, which would traverse all imported objects each time."""
    with pause_garbage_collection():
        return (yield)


def pytest_collection_modifyitems(config, items):
    """Deselect tests that need the real data if there are none; with -m real they fail."""
    if not GENUINE.is_dir() and "real" not in (config.option.markexpr or ""):
        left_out = [item for item in items if item.get_closest_marker("real")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("real")]


@pytest.fixture
def threads(request) -> Iterator[None]:
    """Set the number of threads to the indirect parameter."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


torch.set_num_threads(1)  # the models of the tests are too small to share out
