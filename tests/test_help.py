"""The page of `train.py --help` agrees with conf/."""

import re
from pathlib import Path

import yaml
from omegaconf import OmegaConf

from tests.conftest import ROOT, settings_of

PAGE = yaml.safe_load((ROOT / "conf" / "hydra" / "help" / "page.yaml").read_text())["template"]
DEFAULTS = re.findall(r"^  ([\w.]+)=\S+ {2,}.*? \[([^,\]]+)\]", PAGE, re.MULTILINE)


def list_files(folder: Path) -> set[str]:
    """Return the names of a group's choices: files that are no bases of others."""
    files = [file.relative_to(folder).with_suffix("") for file in folder.rglob("*.yaml")]
    return {file.as_posix() for file in files if not file.name.startswith("_")}


def test_every_group_and_choice_is_listed(train, tmp_path):
    """Also a choice and a group of the user, in a folder that --config-dir adds."""
    for name in ("model/average", "pet/cat"):
        file = tmp_path / "mine" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text("hidden: 3")
    status, page, _ = train("--help", "--config-dir", "mine")
    assert status == 0
    groups = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()} - {"hydra"}
    for group in (*groups, "pet"):
        listed = re.search(rf"^ +{group}= *((?:[^\n]+,\n)*[^\n]+)\n", page, re.MULTILINE)[1]
        names = list_files(ROOT / "conf" / group) | {
            name.split("/")[1] for name in ("model/average", "pet/cat") if group in name
        }
        assert re.findall(r"[\w/]+", listed) == sorted(names)


def test_the_defaults_in_brackets_are_those_of_conf():
    config = OmegaConf.create(settings_of())
    assert len(DEFAULTS) == 12
    for option, shown in DEFAULTS:
        known = OmegaConf.select(config, option)
        wanted = {"all": None, "3e-3": 0.003}.get(shown, yaml.safe_load(shown))
        assert known == wanted, option
