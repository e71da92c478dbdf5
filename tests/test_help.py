"""The page of `train.py --help` is true of conf/."""

import re

import pytest
import yaml
from omegaconf import OmegaConf

from tests.conftest import ROOT, settings_of

PAGE = yaml.safe_load((ROOT / "conf" / "hydra" / "help" / "page.yaml").read_text())["template"]
GROUPS = dict(re.findall(r"^  (\w+)= +([^(\n]+)", PAGE, re.MULTILINE))
DEFAULTS = re.findall(r"^  ([\w.]+)=\S+ {2,}.*? \[([^,\]]+)\]", PAGE, re.MULTILINE)


@pytest.mark.parametrize("group", ["dataset", "model", "embedding", "optimizer", "trainer"])
def test_every_choice_is_told(group):
    told = GROUPS[group].replace(" ", "").split(",")
    assert sorted(told) == sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


def test_the_defaults_are_these():
    config = OmegaConf.create(settings_of())
    assert len(DEFAULTS) == 12
    for option, told in DEFAULTS:
        known = OmegaConf.select(config, option)
        wanted = {"all": None, "3e-3": 0.003}.get(told, yaml.safe_load(told))
        assert known == wanted, option
