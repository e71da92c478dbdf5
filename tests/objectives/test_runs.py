"""Runs with objectives: from the command line to checkpoints, reports and messages."""

import sys
from pathlib import Path

import pytest
import torch

from seqtext.run_dir import RunDir
from tests.conftest import invented_reviews

OWN = """
from seqtext.objectives.base import Objective


class SmallLogits(Objective):
    \"""The mean square of the logits.\"""

    def __init__(self, weight: float = 1.0, power: int = 2):
        super().__init__(weight)
        self.power = power

    def compute(self, step):
        return (step.compute_clean_logits() ** self.power).mean()
"""


def run(train, small, *options, name: str = "run") -> RunDir:
    status, _, error = train(*small, f"name={name}", *options)
    assert status == 0, error
    return RunDir(Path("outputs") / name)


@pytest.mark.slow
def test_a_run_with_all_terms_and_unlabelled_texts(train, small, script, tmp_path):
    texts = [review for review, _ in invented_reviews(40, seed=9)]
    (tmp_path / "further.txt").write_text("\n".join(texts))
    terms = "objectives=[adversarial,virtual_adversarial,entropy,r_drop,mixup]"
    folder = run(
        train, small, terms, "objectives.r_drop.weight=0.5", "dataset.unlabelled=further.txt"
    )
    metrics = folder.read_metrics()
    assert metrics["settings"]["objectives"]["r_drop"]["weight"] == 0.5
    assert not [warning for warning in metrics["warnings"] if "was not read" in warning]
    plain = run(train, small, name="plain")
    states = [
        torch.load(f.best_checkpoint, weights_only=True)["state_dict"] for f in (folder, plain)
    ]
    assert states[0].keys() == states[1].keys()
    assert any((states[0][name] != states[1][name]).any() for name in states[0])
    status, _, error = script("predict.py", f"run={folder.path}", "a wonderful film")
    assert status == 0, error
    assert script("report.py", "outputs")[0] == 0
    report = Path("outputs/report/report.md").read_text()
    assert "objectives=adversarial+virtual_adversarial+entropy+r_drop+mixup" in report


@pytest.mark.slow
def test_terms_of_weight_0_change_nothing(train, small):
    plain = run(train, small, name="plain").read_metrics()
    options = ("objectives=[adversarial,r_drop]", "objectives.adversarial.weight=0")
    other = run(train, small, *options, "objectives.r_drop.weight=0").read_metrics()
    assert other["curves"] == plain["curves"]


@pytest.mark.slow
def test_a_term_of_ones_own(train, small, tmp_path, monkeypatch):
    (tmp_path / "my_terms.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_terms", raising=False)
    typed = ["+objectives.mine._target_=my_terms.SmallLogits", "+objectives.mine.weight=100.0"]
    own = run(train, small, *typed).read_metrics()
    plain = run(train, small, name="plain").read_metrics()
    assert own["curves"]["val/loss"][-1] != plain["curves"]["val/loss"][-1]
    status, _, error = train(*small, typed[0], "+objectives.mine.strength=1")
    assert status != 0
    assert "strength" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["objectives=[magic]"], "magic"),
        (["objectives=entropy", "objectives.entropy.weight=-1"], "objectives.entropy.weight"),
        (["objectives=adversarial", "objectives.adversarial.epsilon=0"], "epsilon"),
        (["model=tfidf", "objectives=entropy"], "leave objectives out"),
        (["+objectives.mine._target_=torch.nn.Linear"], "objectives.mine"),
    ],
)
def test_mistakes_are_told_in_one_sentence(train, small, options, message):
    without = [o for o in small if not (o.startswith("model.") and "model=tfidf" in options)]
    status, _, error = train(*without, *options)
    assert status != 0
    assert message in error
    assert "Traceback" not in error
