"""Classes of one's own package: named on the command line, and allowed in stored settings."""

import sys
from pathlib import Path

import pytest
import torch
from joblib.externals.loky import get_reusable_executor

import seqtext
from seqtext.config.instantiate import resolve_target
from seqtext.config.trust import allow_any_class, allow_packages, set_own_folders
from seqtext.errors import UserError
from tests.conftest import csv_of

OWN = '''
import pyarrow as pa
import torch
import torchmetrics
from torch import nn

from shutil import rmtree
from seqtext.data.readers import read_csv
from seqtext.datasets.base import TextDataModule
from seqtext.layers.pooling import mean_over_time
from seqtext.losses import focal
from seqtext.models.base import TextClassifier
from seqtext.models.rnn import GRU
from seqtext.tokenizers.words import WordTokenizer


class Average(TextClassifier):
    name = "average"

    def __init__(self, embedding: nn.Module, classes: int = 2, hidden: int = 32, **head):
        super().__init__(embedding, classes, features=hidden, **head)
        self.hidden = nn.Linear(embedding.embedding_dim, hidden)

    def forward(self, ids, lengths):
        return self.compute_logits(self.hidden(mean_over_time(self.embed(ids), lengths)).relu())


class Reviews(TextDataModule):
    name = "reviews"
    filenames = ("reviews.csv",)
    homepage = "https://reviews.example"

    def read_tables(self, paths):
        for block in read_csv(paths[0], ["review", "sentiment"]):
            yield pa.table({"text": block["review"], "label": block["sentiment"]})


class Short(WordTokenizer):
    """Words, of which a text has only a few."""

    def __init__(self, max_length: int = 30):
        super().__init__(max_length=max_length)


class Focal:
    """Mixin that changes the training loss of any architecture."""

    def __init__(self, *arguments, gamma: float = 2.0, **options):
        super().__init__(*arguments, **options)
        self.gamma = gamma

    def compute_logits_and_loss(self, batch):
        logits = self(batch.ids, batch.lengths)
        return logits, focal(logits, batch.labels, self.class_weights, self.gamma)


class FocalGRU(Focal, GRU):
    name = "focal_gru"


class SignSGD(torch.optim.Optimizer):
    def __init__(self, params, lr: float = 0.01, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(group["lr"] * parameter.grad.sign())
        return loss


def my_loss(logits, labels, class_weights=None, power: float = 1.0):
    return focal(logits, labels, class_weights, gamma=power)


class First(nn.Module):
    def __init__(self, k: int = 2):
        super().__init__()
        self.k = k

    def forward(self, states, lengths):
        return mean_over_time(states[:, : self.k], lengths.clamp(max=self.k))


class Kappa(torchmetrics.classification.BinaryCohenKappa):
    pass
'''
TEXTS = ["a wonderful film", "a dreadful film"]
RUN = ["trainer=cpu", "trainer.max_epochs=2", "embedding.dim=8", "name=own"]


@pytest.fixture
def project(tmp_path, reviews, monkeypatch) -> Path:
    """Write a project with a package and a conf folder, beside the current folder."""
    folder = tmp_path / "there"
    for name, content in {
        "my_project/__init__.py": "",
        "my_project/parts.py": OWN,
        "conf/model/mine.yaml": "defaults: [_base, _self_]\n_target_: my_project.parts.Average\n",
        "conf/dataset/reviews.yaml": "defaults: [_base, _self_]\n"
        "_target_: my_project.parts.Reviews\ndir: null\n",
        "conf/tokenizer/short.yaml": "_target_: my_project.parts.Short\nmax_length: 30\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (tmp_path / "data" / "reviews").mkdir(parents=True)
    (tmp_path / "data" / "reviews" / "reviews.csv").write_text(csv_of(reviews))
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget(monkeypatch)
    return folder


def forget(monkeypatch) -> None:
    for name in ("my_project", "my_project.parts"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_conf_and_package_of_ones_own(train, script, monkeypatch):
    conf = ["--config-dir", "there/conf"]
    parts = ["model=mine", "model.hidden=8", "dataset=reviews", "tokenizer=short"]
    status, output, error = train(*conf, *parts, *RUN)
    assert status == 0, error
    assert "average on reviews" in output
    run = Path("outputs/own")

    forget(monkeypatch)
    refused = "my_project.parts.Short is not allowed in stored settings"
    with pytest.raises(UserError, match=refused):
        seqtext.load(run)
    status, _, error = script("predict.py", f"run={run}", *TEXTS)
    assert status == 2
    assert refused in error
    assert error.endswith("unless you trust my_project and add plugins=[my_project].\n")
    assert len(error.splitlines()) == 1
    (run / "metrics.json").unlink()
    status, _, error = train(*conf, f"resume={run}")
    assert status == 2
    assert "my_project.parts.Reviews is not allowed" in error
    assert not any(name.startswith("my_project") for name in sys.modules)

    assert seqtext.load(run, plugins=["my_project"]).predict_proba(TEXTS).shape == (2, 2)
    status, output, error = script("predict.py", f"run={run}", "plugins=[my_project]", *TEXTS)
    assert (status, output.count(" film")) == (0, 2)
    forget(monkeypatch)
    set_own_folders([])
    status, output, error = script("predict.py", f"run={run}", "plugins=there/my_project", *TEXTS)
    assert (status, output.count(" film")) == (0, 2), error
    status, _, error = train(*conf, f"resume={run}", "plugins=[my_project]")
    assert status == 0, error
    assert (run / "metrics.json").exists()


@pytest.mark.usefixtures("project")
def test_parts_of_ones_own(train, small):
    status, _, error = train(
        *[option for option in small if not option.startswith(("optimizer.", "monitor="))],
        *["--config-dir", "there/conf", "name=own", "trainer.max_epochs=2"],
        *["model._target_=my_project.parts.FocalGRU", "model.gamma=1", "model.bidirectional=true"],
        *["model.pooling._target_=my_project.parts.First", "model.pooling.k=20"],
        *["+loss._target_=my_project.parts.my_loss", "loss.power=1.5"],
        *["optimizer._target_=my_project.parts.SignSGD", "optimizer.lr=0.02"],
        *["+metrics.mine._target_=my_project.parts.Kappa", "monitor=val/mine"],
    )
    assert status == 0, error
    options = torch.load("outputs/own/checkpoints/best.ckpt", weights_only=True)
    settings = options["seqtext"]["config"]
    assert (settings["model"]["gamma"], settings["model"]["units"]) == (1, 8)
    assert settings["optimizer"] == {"_target_": "my_project.parts.SignSGD", "lr": 0.02}
    status, _, error = train("from_best=outputs/own", "name=again")
    assert status == 2
    assert "my_project.parts.FocalGRU is not allowed" in error
    with allow_packages("my_project"):
        assert seqtext.load("outputs/own").classes_.tolist() == ["negative", "positive"]


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_sweep_of_ones_own(train, monkeypatch):
    get_reusable_executor().shutdown()  # workers of an earlier test have its working folder
    parts = ["model=mine", "model.hidden=4,8", "dataset=reviews", "hydra/launcher=joblib"]
    for _ in range(2):  # the second one finds both jobs finished
        status, output, error = train("--config-dir=there/conf", "-m", *parts, *RUN)
        assert status == 0, error + output
        forget(monkeypatch)
    assert len(list(Path("outputs/own").glob("*/metrics.json"))) == 2


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("model._target_=my_project.parts.Averag", "did you mean my_project.parts.Average?"),
        ("model._target_=my_project.parts.First", "it must be a subclass of TextClassifier or"),
        ("model._target_=my_projct.Average", "No module named 'my_projct' (installed, in the"),
        ("model._target_=Average", "a class is named as in my_project.MyClass"),
        ("tokenizer._target_=my_project.parts.First", "it must be a subclass of Tokenizer."),
        ("dataset._target_=my_project.parts.First", "it must be a subclass of TextDataModule."),
        ("model.hiddn=3", "There is no option model.hiddn: did you mean model.hidden?"),
        ("model.pooling.k=3", "model.pooling"),
        ("model=minee", "There is no model=minee: did you mean mine?"),
        ("plugins=3", "plugins=3 is not possible: it must be a list of packages"),
        ("plugins=../none", "plugins=../none: there is no such folder."),
    ],
)
def test_mistakes(train, project, typed, message):
    status, _, error = train("--config-dir", project / "conf", "model=mine", *RUN, typed)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_package_that_cannot_be_imported(train, project):
    (project / "my_project" / "parts.py").write_text("import torch\nmistake\n")
    status, _, error = train("--config-dir", project / "conf", "model=mine")
    assert status == 2
    assert "cannot be imported (NameError: name 'mistake' is not defined); HYDRA_FULL" in error


def test_an_allowed_package_may_not_lend_the_functions_of_others(project, monkeypatch):
    """Not even a trusted package makes stored settings call what it has imported."""
    monkeypatch.syspath_prepend(project)
    with allow_packages(["my_project"]):
        assert resolve_target("loss", "my_project.parts.my_loss").__name__ == "my_loss"
        with pytest.raises(UserError, match="rmtree is not possible"):
            resolve_target("loss", "my_project.parts.rmtree")
        with pytest.raises(UserError, match=r"os\.system is not allowed in stored settings"):
            resolve_target("loss", "os.system")
        with pytest.raises(UserError, match="not allowed"):
            resolve_target("loss", "my_project_of_another.my_loss")
    with allow_any_class(), allow_any_class(False), pytest.raises(UserError, match="not allowed"):
        resolve_target("loss", "my_project.parts.my_loss")
