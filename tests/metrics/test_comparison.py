"""The sentence that compares a run with its baselines."""

from seqtext.metrics.comparison import describe_comparison


def settings(batch_size=64, embedding="random.RandomEmbedding", tokenizer="words.WordTokenizer"):
    return {
        "dataset": {"batch_size": batch_size},
        "embedding": {"_target_": f"seqtext.embeddings.{embedding}"},
        "tokenizer": {"_target_": f"seqtext.tokenizers.{tokenizer}"},
    }


def make_metrics(own: float, tfidf: float | None = 0.85, monitor: str = "val/f1", **facts) -> dict:
    name = monitor.removeprefix("val/")
    baselines = {"majority": {"class": "good", "val": {}, "test": {name: 0.5}}}
    if tfidf is not None:
        baselines["tfidf"] = {"seconds": 3.2, "val": {}, "test": {name: tfidf}}
    found = {"monitor": monitor, "test": {name: own}, "baselines": baselines}
    return found | {"epochs": 4, "best_epoch": 2, "settings": settings(), "model": "gru"} | facts


def test_a_better_model_gets_no_advice():
    assert describe_comparison(make_metrics(0.9)) == (
        "Test f1: majority class (good) 0.5, tfidf 0.85 (3.2 s), this model 0.9."
    )
    assert describe_comparison(make_metrics(0.9, tfidf=None)) == (
        "Test f1: majority class (good) 0.5, this model 0.9."
    )


def test_a_worse_model_gets_advice():
    text = describe_comparison(make_metrics(0.8))
    assert text.endswith(
        "Try smaller batches (dataset.batch_size=32), or pretrained vectors (embedding=glove "
        "embedding.dim=50), or a linear model beside the network (model=wide_and_deep)."
    )
    text = describe_comparison(make_metrics(0.8, best_epoch=4))
    assert text.endswith("The last epoch is the best: try trainer.max_epochs=16.")
    assert "Try" in describe_comparison(make_metrics(0.5, tfidf=None)), "as the majority class"
    assert describe_comparison(make_metrics(0.5, None, epochs=0)).endswith("this model 0.5.")


def test_advice_names_nothing_that_the_run_has():
    auto = settings(32, "auto.AutoEmbedding")
    text = describe_comparison(make_metrics(0.8, settings=auto))
    assert text.endswith(". Try a linear model beside the network (model=wide_and_deep).")
    text = describe_comparison(make_metrics(0.8, settings=auto, model="wide_and_deep"))
    assert text.endswith("this model 0.8.")
    characters = settings(None, tokenizer="characters.CharacterTokenizer")
    assert "Try" not in describe_comparison(make_metrics(0.8, settings=characters))


def test_a_metric_without_baseline_gives_way_to_macro_f1():
    metrics = make_metrics(0.9, monitor="val/macro_f1")
    metrics |= {"monitor": "val/kappa", "test": {"kappa": 0.7, "macro_f1": 0.9}}
    assert describe_comparison(metrics).startswith("Test macro_f1: majority class (good) 0.5")


def test_a_lower_loss_is_better():
    assert "Try" not in describe_comparison(make_metrics(0.2, 0.3, "val/loss"))
    assert "Try" in describe_comparison(make_metrics(0.4, 0.3, "val/loss"))


def test_unknown_scores():
    assert describe_comparison(make_metrics(0.9, baselines={})) is None
    assert describe_comparison(make_metrics(0.9, test={})) is None
    assert describe_comparison(make_metrics(0.9, baselines=None)) is None
