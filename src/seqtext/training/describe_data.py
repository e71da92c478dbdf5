"""Report the statistics and figures of a data set, without training."""

import logging
from pathlib import Path
from typing import Any

from seqtext.config.embedding import build_embedding, is_learned
from seqtext.config.run_config import build_datamodule, validate_config
from seqtext.data.code_fingerprint import digest_code
from seqtext.data.statistics import WORDS_PER_CLASS, DatasetStatistics, compute_statistics
from seqtext.datasets.base import TextDataModule
from seqtext.display import print_line
from seqtext.figures.data import plot_statistics, print_statistics
from seqtext.figures.files import to_png
from seqtext.files import replace_file, write_json
from seqtext.run_dir import RunDir
from seqtext.tokenizers.vocabulary import KnownIds

log = logging.getLogger(__name__)


def describe_data(settings: dict[str, Any], run_dir: RunDir) -> None:
    """Print the statistics of a data set and its coverage by pretrained vectors; draw its figures.

    Raises:
        UserError: if a setting is invalid.
    """
    options, split = validate_config(settings)
    run_dir.lock(resume=False)
    try:
        data = build_datamodule(settings, options, split)
        if not is_learned(settings):
            build_embedding(settings, data)
        statistics = compute_data_statistics(data)
        print_statistics(statistics, data.name)
        run_dir.figures.mkdir(parents=True, exist_ok=True)
        for name, picture in draw_data_figures(data).items():
            with replace_file(run_dir.figures / f"{name}.png") as temporary:
                temporary.write_bytes(picture)
        write_json(run_dir.path / "description.json", statistics.to_dict())
        print_line(f"Figures and description.json are in {run_dir.path}")
    finally:
        run_dir.unlock()


def compute_data_statistics(
    data: TextDataModule, most_words: int = WORDS_PER_CLASS
) -> DatasetStatistics:
    """Compute statistics after `setup`, with the first `most_words` words of each class."""
    prepared = data.dataset
    return compute_statistics(
        texts=data.texts,
        numbers=prepared.rows.numbers,
        ids=KnownIds(prepared.texts.ids, len(data.vocabulary)),
        offsets=prepared.texts.offsets,
        labels=data.labels,
        parts=prepared.parts,
        words=[token.replace(" ", "␣") for token in data.vocabulary.tokens],
        class_names=data.class_names,
        most_words=most_words,
    )


def draw_data_figures(data: TextDataModule) -> dict[str, bytes]:
    """Return the figures as PNG files by name, cached for all runs on the same data."""

    def draw(folder: Path) -> None:
        for name, figure in plot_statistics(compute_data_statistics(data)).items():
            (folder / f"{name}.png").write_bytes(to_png(figure))

    settings = {"data": data.dataset.key, "code": digest_code(plot_statistics)}
    try:
        folder = data.cache.get_or_build("pictures", settings, draw)
    except OSError:
        raise
    except Exception as error:  # a failed figure must not prevent training
        log.warning("The figures of the data cannot be drawn: %s: %s", type(error).__name__, error)
        return {}
    return {file.stem: file.read_bytes() for file in sorted(folder.glob("*.png"))}
