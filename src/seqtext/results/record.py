"""Everything that a finished run leaves behind."""

from collections.abc import Mapping
from typing import Any

from seqtext.data.rows import Rows
from seqtext.results.figures import figures
from seqtext.results.folder import RunFolder
from seqtext.results.predictions import Predictions
from seqtext.results.tensorboard import (
    EpochLogger,
    flattened,
    log_mistakes,
    log_pictures,
    log_settings,
)


def record(
    folder: RunFolder,
    logger: EpochLogger,
    predictions: Mapping[str, Predictions],
    rows: Rows,
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write predictions, figures, TensorBoard's pages and, last, metrics.json.

    Args:
        predictions: of the parts "val" and "test", by the best checkpoint
        rows: of the data set
        settings: of the run, for the HPARAMS tab
        facts: further entries of metrics.json

    Returns:
        The content of metrics.json.
    """
    scores = {part: of_part.scores() for part, of_part in predictions.items()}
    for part, of_part in predictions.items():
        of_part.write(folder.predictions(part), rows.numbers)
    test = predictions["test"]
    log_mistakes(logger, "test/most confident mistakes", test, rows)  # opens what training closed
    folder.figures.mkdir(exist_ok=True)
    for name, figure in figures(test, title="test part").items():
        file = folder.figures / f"{name}.png"
        figure.savefig(file, dpi=150)
        log_pictures(logger, {f"test/{name}": file.read_bytes()})  # not drawn a second time
    chosen_by = facts["monitor"].removeprefix("val/")
    final = {f"verdict/test/{name}": value for name, value in scores["test"].items()}
    first = f"verdict/test/{chosen_by}"  # column; a test part that lacks a class may lack it
    final = {
        **{name: final[name] for name in [first] if name in final},
        f"verdict/val/{chosen_by}": facts["score"],
        **final,
    }
    shown = {"dataset": facts["dataset"], "model": facts["model"], **flattened(settings)}
    log_settings(logger, shown, final)
    logger.finalize("success")
    metrics = {**facts, "threshold": test.threshold, **scores}
    if test.threshold != 0.5:
        metrics["at_0.5"] = {part: p.at(0.5).scores() for part, p in predictions.items()}
    folder.finish(metrics)
    return metrics
