"""Compare the score of a finished run with those of its baselines, in a sentence."""

from collections.abc import Mapping
from typing import Any

from seqtext.display import format_duration
from seqtext.metrics.definitions import get_metric_mode

USUAL_BATCH_SIZE = 32  # of the defaults


def describe_comparison(metrics: Mapping[str, Any]) -> str | None:
    """Return a sentence that compares a run's monitored score on the test part with baselines.

    Args:
        metrics: the content of metrics.json
    """
    baselines = metrics.get("baselines") or {}
    majority, tfidf = (baselines.get(kind) or {} for kind in ("majority", "tfidf"))
    name = metrics["monitor"].removeprefix("val/")
    if name not in (majority.get("test") or {}):
        name = "macro_f1"  # of a metric of the user's, baselines have no scores
    own = metrics["test"].get(name)
    scores = {kind: (b.get("test") or {}).get(name) for kind, b in baselines.items()}
    if own is None or scores.get("majority") is None:
        return None
    parts = [f"majority class ({majority.get('class')}) {scores['majority']:.4g}"]
    if scores.get("tfidf") is not None:
        parts.append(f"tfidf {scores['tfidf']:.4g} ({format_duration(tfidf['seconds'])})")
    text = f"Test {name}: {', '.join(parts)}, this model {own:.4g}."
    known = [score for score in scores.values() if score is not None]
    sign = -1 if get_metric_mode(name) == "min" else 1
    if any(sign * own <= sign * score for score in known):
        text += _advise(metrics)
    return text


def _advise(metrics: Mapping[str, Any]) -> str:
    """Return what a user may try if a network is not better than a baseline."""
    if not metrics["epochs"]:
        return ""
    if metrics["best_epoch"] == metrics["epochs"]:
        return f" The last epoch is the best: try trainer.max_epochs={4 * metrics['epochs']}."
    settings = metrics["settings"]
    tokenizer, embedding = (settings[group]["_target_"] for group in ("tokenizer", "embedding"))
    options = []
    if (settings["dataset"].get("batch_size") or 0) > USUAL_BATCH_SIZE:
        options.append(f"smaller batches (dataset.batch_size={USUAL_BATCH_SIZE})")
    if embedding.endswith(".RandomEmbedding") and tokenizer.endswith(".WordTokenizer"):
        options.append("pretrained vectors (embedding=glove embedding.dim=50)")
    if metrics["model"] != "wide_and_deep" and tokenizer.endswith(".WordTokenizer"):
        options.append("a linear model beside the network (model=wide_and_deep)")
    return f" Try {', or '.join(options)}." if options else ""
