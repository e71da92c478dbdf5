"""The page of `train.py --help` is true of conf/."""

import re

import yaml
from omegaconf import OmegaConf

from tests.conftest import ROOT, settings_of

PAGE = yaml.safe_load((ROOT / "conf" / "hydra" / "help" / "page.yaml").read_text())["template"]
DEFAULTS = re.findall(r"^  ([\w.]+)=\S+ {2,}.*? \[([^,\]]+)\]", PAGE, re.MULTILINE)


def test_every_choice_is_told(train, tmp_path):
    """Also one of your own, in a folder that --config-dir adds."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / "average.yaml").write_text("hidden: 3")
    status, page, _ = train("--help", "--config-dir", "mine")
    assert status == 0
    for group in ("dataset", "model", "embedding", "optimizer", "trainer"):
        told = re.search(rf"^ +{group}= +((?:[^\n]+,\n)*[^\n]+)\n", page, re.MULTILINE)[1]
        names = {file.stem for file in (ROOT / "conf" / group).glob("[!_]*.yaml")}
        names |= {"average"} if group == "model" else set()
        assert re.findall(r"\w+", told) == sorted(names)


def test_the_defaults_are_these():
    config = OmegaConf.create(settings_of())
    assert len(DEFAULTS) == 12
    for option, told in DEFAULTS:
        known = OmegaConf.select(config, option)
        wanted = {"all": None, "3e-3": 0.003}.get(told, yaml.safe_load(told))
        assert known == wanted, option
