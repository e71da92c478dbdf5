"""Validate the settings of a run, and build its data, embedding and model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqtext.config.components import build_components, check_components
from seqtext.config.embedding import build_embedding, list_vector_files
from seqtext.config.empty_model import Target, build_empty_model
from seqtext.config.groups import GROUPS, LISTS, UNTARGETED
from seqtext.config.instantiate import (
    build_from_config,
    build_loss,
    build_lr_schedule,
    build_optimizer_factory,
    build_without_target,
    resolve_target,
    validate_group,
)
from seqtext.config.metrics import (
    build_custom_metrics,
    check_monitor,
    register_custom_metrics,
)
from seqtext.config.paths import Paths
from seqtext.config.trainer import build_trainer
from seqtext.data.class_balance import ClassWeights, Sampling
from seqtext.data.labels import LabelFilter
from seqtext.data.split import Split
from seqtext.datasets.base import TextDataModule
from seqtext.datasets.unlabelled_batches import build_unlabelled_batches
from seqtext.embeddings.spelling import reads_spelling, set_tokens
from seqtext.errors import OptionError, UserError
from seqtext.losses import class_balanced, logit_adjusted
from seqtext.metrics.scores import list_metrics
from seqtext.models.base import TextClassifier
from seqtext.models.non_neural import NonNeuralClassifier
from seqtext.tokenizers.words import WordTokenizer
from seqtext.validation import Fraction, PositiveFloat, PositiveInt, Seed, validate_args

DEFAULT_LOSS = {"_target_": "seqtext.losses.cross_entropy", "label_smoothing": 0.0}


class RunConfig:
    """Hold the options of a run outside of groups; conf/config.yaml documents them."""

    @validate_args
    def __init__(
        self,
        seed: Seed,
        monitor: str,
        patience: PositiveInt | Literal["auto"] | None,
        sampling: Sampling,
        class_weights: ClassWeights,
        threshold: Fraction | Literal["tuned"],
        checkpoint_minutes: PositiveFloat,
        paths: dict[str, str],
        tags: list[str | float] | None = None,
        notes: str | None = None,
        label: str | None = None,
        baseline: Literal["auto"] | bool = "auto",
        calibration: Literal["none", "temperature"] = "none",
        target: Target = "nominal",
        task: Literal["classification", "lm"] = "classification",
    ):
        self.tags, self.notes, self.label = [str(tag) for tag in tags or ()], notes, label
        self.seed, self.monitor, self.patience = seed, monitor, patience
        self.sampling, self.class_weights, self.threshold = sampling, class_weights, threshold
        self.checkpoint_minutes, self.baseline = checkpoint_minutes, baseline
        self.calibration, self.target, self.task = calibration, target, task
        self.paths: Paths = build_without_target("paths", Paths, paths)
        self.custom_metrics: tuple[str, ...] = ()  # names; set by `validate_config`

    def check_for_classes(self, class_names: Sequence[str] | None) -> None:
        """Check the options that depend on the classes.

        Args:
            class_names: None: unknown before the data are read, so that the monitored metric may be
                the recall of any class

        Raises:
            UserError: if the monitored metric or the threshold is not possible for these classes.
        """
        check_monitor(self.monitor, self.custom_metrics, class_names, self.target == "ordinal")
        if self.threshold != 0.5 and class_names is not None and len(class_names) > 2:
            raise OptionError("threshold", self.threshold, f"0.5 for {len(class_names)} classes")

    def check_for_validation(self, class_names: Sequence[str], labels: np.ndarray) -> None:
        """Raise if the monitored metric is undefined on the validation set.

        Args:
            labels: [rows of the validation part] class numbers

        Raises:
            UserError: if a class needed for the metric has no rows.
        """
        present = np.unique(labels)
        own = list_metrics(class_names, present, self.target == "ordinal")
        names = (*own, *self.custom_metrics)
        known = [f"val/{name}" for name in names]
        if self.monitor not in known:
            absent = [repr(n) for number, n in enumerate(class_names) if number not in present]
            raise UserError(
                f"monitor={self.monitor} is not possible: the validation part has no row of "
                f"{', '.join(absent)}. Choose another metric (such as val/accuracy), or "
                f"another split (split.val_size, split.stratify)."
            )


def validate_config(settings: dict[str, Any]) -> tuple[RunConfig, Split]:
    """Check all options before anything is loaded.

    Raises:
        UserError: if an option is unknown or invalid.
    """
    groups = (*GROUPS, *UNTARGETED, "metrics")
    for group in groups:
        if not isinstance(settings.get(group), dict):
            raise UserError(f"{group}={settings.get(group)} is not possible: it must have options.")
    for group in GROUPS:
        validate_group(group, settings[group])
    optimizer = build_optimizer_factory(settings["optimizer"])
    build_lr_schedule(settings["scheduler"], optimizer)
    _check_loss(settings)
    build_trainer(settings["trainer"])
    for group in LISTS:
        if settings.get(group):
            check_components(group, settings[group])
    others = {k: v for k, v in settings.items() if k not in (*groups, *LISTS)}
    options = build_without_target("", RunConfig, others)
    options.custom_metrics = register_custom_metrics(settings["metrics"], options.monitor)
    return options, build_without_target("split", Split, settings["split"])


def _check_loss(settings: dict[str, Any]) -> None:
    sampling = settings.get("sampling") or "none"
    build_loss(settings["loss"], 2, has_class_weights=sampling == "class_weights")
    loss = resolve_target("loss", settings["loss"]["_target_"])
    if loss in (class_balanced, logit_adjusted) and sampling != "none":
        raise UserError(
            f"loss={loss.__name__} and sampling={sampling} both correct for the classes' shares: "
            f"leave one of them out."
        )
    model_class = resolve_target("model", settings["model"]["_target_"])
    if not issubclass(model_class, NonNeuralClassifier):
        return
    is_set = {
        "loss": settings["loss"] != DEFAULT_LOSS,
        "objectives": bool(settings.get("objectives")),
    }
    for group in filter(is_set.get, is_set):
        raise UserError(
            f"{group} is not possible with model={model_class.name}, which is not trained in "
            f"batches: leave {group} out."
        )


def build_datamodule(settings: dict[str, Any], options: RunConfig, split: Split) -> TextDataModule:
    """Build the data module of `settings` and prepare its data."""
    data = _build_unprepared_datamodule(settings, options, split)
    data.setup()
    return data


def _build_unprepared_datamodule(
    settings: dict[str, Any], options: RunConfig, split: Split
) -> TextDataModule:
    data: TextDataModule = build_from_config(
        "dataset",
        settings["dataset"],
        tokenizer=build_from_config("tokenizer", settings["tokenizer"]),
        split=split,
        sampling=options.sampling,
        class_weights=options.class_weights,
        seed=options.seed,
        cache=options.paths.cache_dir,
    )
    data.data_dir = options.paths.data_dir
    data.reads_vocabulary = not is_non_neural(settings)
    data.keep_unknown = is_spelling_read(settings)
    if not data.reads_vocabulary:
        _check_for_word_counts(data)
    return data


def _check_for_word_counts(data: TextDataModule) -> None:
    """Raise a `UserError` for options that a non-neural model would ignore."""
    if not isinstance(data.tokenizer, WordTokenizer):
        raise UserError(
            f"{type(data.tokenizer).__name__} is not possible with a model that counts words, such "
            f"as tfidf: choose tokenizer=words, and model.analyzer=chars for characters only."
        )
    if data.unlabelled_path is not None:
        raise UserError(
            f"dataset.unlabelled={data.unlabelled_path} is not read by a model that counts words, "
            f"such as tfidf: leave it out."
        )


def build_checked_datamodule(
    settings: dict[str, Any], options: RunConfig, split: Split
) -> tuple[TextDataModule, list[Path]]:
    """Build the data module, and check what can be checked before its data are prepared.

    Files of word vectors are downloaded if the options allow it.

    Returns:
        The data module, which is not prepared, and the files of word vectors.

    Raises:
        UserError: if there is no such metric, or a file of word vectors or unlabelled texts is
            missing.
    """
    data = _build_unprepared_datamodule(settings, options, split)
    classes = LabelFilter(data.drop_labels, data.class_names or None).class_names
    options.check_for_classes(classes if classes and len(classes) > 1 else None)  # 1: refused later
    data.locate_unlabelled()
    return data, [] if is_non_neural(settings) else list_vector_files(settings, data)


def is_spelling_read(settings: dict[str, Any]) -> bool:
    """Return whether the embedding or the model reads how tokens are spelled."""
    if is_non_neural(settings):
        return False
    try:
        model = build_empty_model(settings["model"], settings["embedding"], words=1, classes=2)
    except UserError:  # raised again when the model is built
        return False
    return reads_spelling(model)


def is_non_neural(settings: dict[str, Any]) -> bool:
    """Return whether the model has no embedding, epochs or Trainer, such as tfidf."""
    return issubclass(resolve_target("model", settings["model"]["_target_"]), NonNeuralClassifier)


def build_model(
    settings: dict[str, Any], options: RunConfig, data: TextDataModule
) -> TextClassifier:
    """Build the model of `settings` for prepared data, with initial weights."""
    embedding = build_embedding(settings, data)
    classes = len(data.class_names)
    model = build_from_config("model", settings["model"], embedding=embedding, classes=classes)
    if options.target == "ordinal":
        model.make_ordinal()
    set_tokens(model, data.vocabulary)
    model.class_names = data.class_names
    model.custom_metrics = build_custom_metrics(settings["metrics"], classes)
    optimizer = build_optimizer_factory(settings["optimizer"])
    scheduler = build_lr_schedule(settings["scheduler"], optimizer)
    model.configure_training(
        optimizer,
        scheduler,
        data.class_weights(),
        options.monitor,
        build_loss(
            settings["loss"],
            classes,
            has_class_weights=data.sampling == "class_weights",
            class_counts=np.bincount(data.labels[data.training_rows], minlength=classes).tolist(),
        ),
        build_components("objectives", settings.get("objectives"), {}),
    )
    if any(objective.reads_unlabelled for objective in model.objectives):
        model.unlabelled = build_unlabelled_batches(data)
        if model.unlabelled and not model.reads_ids:
            raise UserError(
                f"dataset.unlabelled={data.unlabelled_path} is not possible with the features of a "
                f"frozen encoder: leave it out, or choose model.frozen=false."
            )
    model.initialize_from_data(data.train_dataloader())
    model.prepare_features(data)
    data.warn_if_unlabelled_is_unused()
    return model
