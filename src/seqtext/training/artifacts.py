"""Write the artifacts of a finished run."""

from collections.abc import Mapping
from typing import Any

from seqtext.data.raw_dataset import RawDataset
from seqtext.figures.files import log_failure_as_warning, write_figures
from seqtext.figures.predictions import get_prediction_plots
from seqtext.loggers.base import RunLoggers, flatten_for_loggers
from seqtext.loggers.confident_errors import format_confident_errors
from seqtext.metrics.predictions import Predictions
from seqtext.run_dir import RunDir


def write_artifacts(
    run_dir: RunDir,
    loggers: RunLoggers,
    predictions: Mapping[str, Predictions],
    rows: RawDataset,
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write predictions, figures, the loggers' results and, last, metrics.json.

    Args:
        predictions: predictions of the parts "val" and "test" with the best checkpoint
        rows: rows of the data set
        settings: settings of the run for the loggers
        facts: additional entries of metrics.json

    Returns:
        The content of metrics.json.
    """
    scores = {part: of_part.compute_metrics() for part, of_part in predictions.items()}
    for part, of_part in predictions.items():
        of_part.write(run_dir.predictions(part), rows.numbers)
    test = predictions["test"]
    drawn = write_figures(get_prediction_plots(test, title="test part"), run_dir.figures)
    if loggers:
        with log_failure_as_warning("The list of errors"):
            text = format_confident_errors(test, rows)
            loggers.log_markdown("test/most confident mistakes", text)
        loggers.log_figures({f"test/{name}": content for name, content in drawn.items()})
        shown = {"dataset": facts["dataset"], "model": facts["model"]}
        shown |= flatten_for_loggers(settings)
        loggers.log_results(shown, _collect_final_scores(scores, facts))
    metrics = {**facts, "threshold": test.threshold, **scores}
    if test.custom:
        metrics["metric_modes"] = test.custom.modes
    if test.temperature != 1:
        metrics["temperature"] = test.temperature
    if test.threshold != 0.5:
        metrics["at_0.5"] = {
            part: p.with_threshold(0.5).compute_metrics() for part, p in predictions.items()
        }
    run_dir.write_metrics(metrics)
    return metrics


def _collect_final_scores(scores: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, float]:
    chosen_by = facts["monitor"].removeprefix("val/")
    final = {
        f"score/test/{chosen_by}": scores["test"].get(chosen_by),  # TensorBoard's first columns
        f"score/val/{chosen_by}": facts["score"],
        f"verdict/val/{chosen_by}": facts["score"],
        **{f"verdict/test/{name}": value for name, value in scores["test"].items()},
    }
    return {name: value for name, value in final.items() if value is not None}
