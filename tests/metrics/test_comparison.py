"""The sentence that compares a run with its baselines."""

from seqtext.metrics.comparison import describe_comparison


def make_metrics(own: float, tfidf: float | None = 0.85, monitor: str = "val/f1", **facts) -> dict:
    name = monitor.removeprefix("val/")
    baselines = {"majority": {"class": "good", "val": {}, "test": {name: 0.5}}}
    if tfidf is not None:
        baselines["tfidf"] = {"seconds": 3.2, "val": {}, "test": {name: tfidf}}
    found = {"monitor": monitor, "test": {name: own}, "baselines": baselines}
    return (
        found | {"epochs": 4, "best_epoch": 2, "settings": {"trainer": {"max_epochs": 4}}} | facts
    )


def test_a_better_model_gets_no_advice():
    assert describe_comparison(make_metrics(0.9)) == (
        "Test f1: majority class (good) 0.5, tfidf 0.85 (3.2 s), this model 0.9."
    )
    assert describe_comparison(make_metrics(0.9, tfidf=None)) == (
        "Test f1: majority class (good) 0.5, this model 0.9."
    )


def test_a_worse_model_gets_advice():
    text = describe_comparison(make_metrics(0.8))
    assert "Try more epochs (trainer.max_epochs=8), dataset.batch_size=32, or" in text
    text = describe_comparison(make_metrics(0.8, best_epoch=4))
    assert text.endswith("The last epoch is the best: try trainer.max_epochs=16.")
    assert "Try" in describe_comparison(make_metrics(0.5, tfidf=None)), "as the majority class"
    assert describe_comparison(make_metrics(0.5, None, epochs=0)).endswith("this model 0.5.")


def test_a_lower_loss_is_better():
    assert "Try" not in describe_comparison(make_metrics(0.2, 0.3, "val/loss"))
    assert "Try" in describe_comparison(make_metrics(0.4, 0.3, "val/loss"))


def test_unknown_scores():
    assert describe_comparison(make_metrics(0.9, baselines={})) is None
    assert describe_comparison(make_metrics(0.9, test={})) is None
    assert describe_comparison(make_metrics(0.9, baselines=None)) is None
