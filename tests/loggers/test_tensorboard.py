"""Texts and settings in TensorBoard."""

import html
import re

import pytest
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.backend_context import Context

from seqtext.callbacks.curves import append_curves
from seqtext.loggers.base import flatten_for_loggers
from seqtext.loggers.confident_errors import EXCERPT_LENGTH, _escape_markdown, _format_excerpt
from seqtext.loggers.tensorboard import EpochTensorBoardLogger

MARKUP = [
    *("<script>alert(1)</script>", "**b** _i_ `c`", "[l](http://x.y)", "![i](http://x/y.png)"),
    *("<http://a.b>", "a | b | c", "~~~ code", "```py```", "# head", "1. one", "- item", "+ x"),
    *("&lt;b&gt; &amp; AT&T", "\\*", "if x < 3 and y > 4", "***", "---", "a\\", "<!-- c -->"),
    *("[ref]: http://x", "> quoted", "a@b.c", "$x_1$", "{x}", "日本", "=== x"),
]


@pytest.mark.parametrize("text", MARKUP)
def test_a_text_is_no_markup(text):
    shown = markdown_to_safe_html(f"**{_escape_markdown(text)}**\n\n> {_format_excerpt(text)}")
    bold, quoted = re.fullmatch(
        r"<p><strong>([^<]*)</strong></p>\s<blockquote>\s<p>([^<]*)</p>\s</blockquote>", shown
    ).groups()
    assert html.unescape(bold) == html.unescape(quoted) == text


def test_excerpt_is_plain_and_short():
    assert _format_excerpt("a<br />\n b  \x1b[31m\u202e") == r"a b �\[31m�"
    assert len(_format_excerpt("x" * 10_000)) == EXCERPT_LENGTH + len(r" \.\.\.")


def test_flattened_settings():
    settings = {
        "seed": 1,
        "paths": {"cache_dir": "/tmp"},
        "model": {"_target_": "x", "units": [1, 2], "flag": True},
        "dataset": {"dir": None},
        "logger": {"mlflow": {"experiment_name": "x"}},
        "tokenizer": {"max_length": None},
    }
    assert flatten_for_loggers(settings) == {
        "seed": 1,
        "model.units": "[1, 2]",
        "model.flag": True,
        "tokenizer.max_length": "None",
    }


def test_a_curve_has_a_place_for_every_epoch():
    """Also a metric of a class without rows in the training batches."""
    curves: dict[str, list] = {}
    append_curves(curves, {"train/loss": 1.0, "val/loss": 2.0}, epoch=0)
    append_curves(curves, {"train/loss": 1.0, "train/recall_a": 0.5}, epoch=1)
    assert curves == {"train/loss": [1, 1], "val/loss": [2], "train/recall_a": [None, 0.5]}


def test_settings_and_scores_of_all_runs_are_offered(tmp_path):
    """Not only those of the run that TensorBoard reads first."""
    runs = {
        "cnn": ({"model.filters": 3, "seed": 0}, {"score/test/f1": 0.5, "verdict/test/f1": 0.5}),
        "gru": ({"model.units": 8, "seed": 1}, {"verdict/test/recall_<b>/名": 0.25}),
    }
    for name, (settings, scores) in runs.items():
        logger = EpochTensorBoardLogger(str(tmp_path / name))
        logger.log_metrics({"train/loss": 1.0}, step=0)
        logger.log_results(settings, scores)
        logger.finalize("success")
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Reload()
    provider = MultiplexerDataProvider(events, str(tmp_path))
    backend, request = Context(TBContext(data_provider=provider)), context.RequestContext()
    metadata = backend.hparams_metadata(request, "")
    found = backend.experiment_from_metadata(request, "", True, metadata, [])
    assert {one.name for one in found.hparam_infos} == {"model.filters", "model.units", "seed"}
    metrics = [one.name.tag for one in found.metric_infos]
    assert metrics == sorted(
        ["score/test/f1", "train/loss", "verdict/test/f1", "verdict/test/recall_<b>/名"]
    )
