"""Average the class probabilities of several trained models."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from seqtext.display import make_printable
from seqtext.errors import UserError
from seqtext.inference.load_model import LoadedModel, find_checkpoint, load_model
from seqtext.inference.predictor import Predictor, TextPredictor
from seqtext.losses import compute_log_probabilities

MAX_SHOWN = 10  # classes shown in a message


class Member(NamedTuple):
    """Hold a model of an ensemble, and how many times it counts; `run` names it in messages."""

    run: str
    predictor: Predictor
    weight: int = 1


class Ensemble(TextPredictor):
    """Predicts the mean of the probabilities of several models.

    Each model keeps its own cleaning and tokenizer. The decision threshold of two classes is the
    mean of the models' thresholds; that of ordered classes is used if all models have it.

    Raises:
        UserError: if the models have other classes, or the same classes in another order.
    """

    def __init__(self, members: Sequence[Member]):
        self.members = members
        predictors = [member.predictor for member in members]
        self.class_names = predictors[0].class_names
        for member in members[1:]:
            if member.predictor.class_names != self.class_names:
                raise UserError(
                    f"{members[0].run} has the classes {_format_classes(members[0])}, and "
                    f"{member.run} has {_format_classes(member)}: their probabilities have no mean "
                    f"unless the classes and their order are the same."
                )
        self._weights = [member.weight for member in members]
        self.threshold = fmean([each.threshold for each in predictors], self._weights)
        self.is_ordinal = all(each.is_ordinal for each in predictors)
        self.drop_labels = list(dict.fromkeys(x for p in predictors for x in p.drop_labels))
        options = reversed([predictor.metric_options for predictor in predictors])
        self.metric_options: Mapping[str, Any] = {n: o for each in options for n, o in each.items()}

    @property
    def text_columns(self) -> Sequence[str]:
        """Return the text columns of the training data.

        Raises:
            UserError: if they are not those of every model.
        """
        columns = {", ".join(m.predictor.text_columns): m.run for m in self.members}
        if len(columns) > 1:
            each = make_printable("; ".join(f"{run}: {names}" for names, run in columns.items()))
            raise UserError(f"The runs were trained on other text columns ({each}): set text=.")
        return self.members[0].predictor.text_columns

    def predict_logits(self, texts: pa.Array) -> Tensor:
        """Return logits of [N] strings whose probabilities are the models' mean probabilities."""
        logits = [member.predictor.predict_logits(texts).double() for member in self.members]
        logs = [compute_log_probabilities(of_model) for of_model in logits]
        weights = torch.tensor(self._weights, dtype=torch.float64)
        shares = (weights / weights.sum()).log()[:, None, None]
        means = (torch.stack(logs) + shares).logsumexp(dim=0)  # [N, C]
        return means[:, 1] - means[:, 0] if len(self.class_names) == 2 else means

    def warn_of_unknown_texts(self) -> None:
        """Log a warning for each model if some of the texts so far have no word that it knows."""
        for member in self.members:
            member.predictor.warn_of_unknown_texts(f"the model of {member.run}")


def load_predictor(
    runs: Sequence[str | Path], change: Callable[[LoadedModel], LoadedModel] = lambda model: model
) -> TextPredictor:
    """Load a run, a sweep's best run or a checkpoint, or an ensemble of several.

    A run that is named several times counts as often.

    Args:
        change: returns the model to use instead of a loaded one

    Raises:
        UserError: if there is no model, or one cannot be loaded, or they have other classes.
    """
    names: dict[Path, list[str]] = defaultdict(list)
    for run in runs:
        names[find_checkpoint(run)].append(str(run))
    if not names:
        raise UserError("run=[] is empty: name a run.")
    members = [
        Member(equal[0], Predictor(change(load_model(path))), len(equal))
        for path, equal in names.items()
    ]
    return Ensemble(members) if len(members) > 1 else members[0].predictor


def _format_classes(member: Member) -> str:
    names = member.predictor.class_names
    return make_printable(", ".join(names[:MAX_SHOWN])) + (", …" if len(names) > MAX_SHOWN else "")
