"""Settings stored in a run folder are plain values without references."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from seqtext.best_run import read_best_run
from seqtext.checkpoints.files import load_checkpoint, save_checkpoint
from seqtext.config.stored_settings import (
    check_stored_settings,
    has_interpolations,
    read_stored_settings,
    replace_untrusted_paths,
)
from seqtext.errors import UserError
from seqtext.run_dir import RunDir, check_links
from seqtext.training.resume import load_resume_config
from tests.conftest import settings_of

REFERENCES = (
    "${oc.env:SECRET}",
    "a ${oc.env:SECRET} b",
    "${${model.name}}",
    "${${model.kind}:SECRET}",
    "${oc.create:{a:1}}",
    "${oc.decode:${oc.env:SECRET}}",
    "${run_dir:a}",
    "${hydra:runtime.cwd}",
)

PATHS = {"data_dir": "data", "output_dir": "outputs", "cache_dir": ".cache"}


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("SECRET", "s3cr3t")


@pytest.mark.parametrize("text", [*REFERENCES, "${model.units}"])
def test_plain_values_hold_no_reference(text):
    for settings in ({"a": text}, {"a": [1, {"b": text}]}, {text: 1}, {"a": {text: 1}}):
        with pytest.raises(UserError):
            check_stored_settings(settings)
    check_stored_settings({"a": [1, 2.5, None, True, "b $5 {c}"], "d": {"e": "f"}})


@pytest.mark.parametrize("text", REFERENCES)
def test_a_file_refers_to_its_own_options_only(tmp_path, text):
    file = tmp_path / "config.yaml"
    own = {"model": {"units": 8, "name": "oc.env:SECRET", "kind": "oc.env"}, "a": "${model.units}"}
    file.write_text(yaml.safe_dump(own | {"b": ["${.0}", "${a}"]}))
    with pytest.raises(UserError):  # refers to itself
        read_stored_settings(file)
    file.write_text(yaml.safe_dump(own))
    assert read_stored_settings(file).a == 8
    for wrong in ({"b": text}, {"b": [{"c": text}]}, {text: 1}):
        file.write_text(yaml.safe_dump(own | wrong))
        with pytest.raises(UserError) as caught:
            read_stored_settings(file)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[1, 2]", b"a: [", b"\xff\xfe\xff"])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.yaml"):
        read_stored_settings(tmp_path / "config.yaml")


def test_references_put_together(tmp_path):
    """Two strings that form a reference only when joined."""
    parts = {"a": "${b}{oc.env:SECRET}", "b": "$"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(parts))
    with pytest.raises(UserError):
        read_stored_settings(tmp_path / "config.yaml")


def run_with(folder: Path, settings: dict) -> RunDir:
    """Write a run that was killed in its first epoch."""
    run = RunDir(folder)
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(settings))
    return run


def test_a_strangers_run(tmp_path, caplog):
    settings = settings_of("model.units=4", f"paths.cache_dir={tmp_path / 'anywhere'}")
    stranger = run_with(tmp_path / "run", settings)
    config = OmegaConf.create({"paths": PATHS | {"cache_dir": "mine"}})
    assert load_resume_config(stranger, [], config)["paths"]["cache_dir"] == "mine"
    assert "anywhere is not there: mine is used" in caplog.text
    (tmp_path / "anywhere" / "rows").mkdir(parents=True)  # as one's own run leaves it
    paths = load_resume_config(stranger, [], config)["paths"]
    assert paths["cache_dir"] == str(tmp_path / "anywhere")
    changed = load_resume_config(stranger, ["paths.cache_dir=there", "dataset.dir=files"], config)
    assert (changed["paths"]["cache_dir"], changed["dataset"]["dir"]) == ("there", "files")
    with pytest.raises(UserError, match="cannot be changed in the middle"):
        load_resume_config(stranger, ["tokenizer.max_length=3"], config)
    stranger.last_checkpoint.parent.mkdir()
    for wrong in ({"a": REFERENCES[0]}, 3, {"a": {1: 2}}):
        save_checkpoint(stranger.last_checkpoint, {"seqtext": {"config": wrong}})
        with pytest.raises(UserError, match=r"last\.ckpt"):
            load_resume_config(stranger, [], config)


def test_nothing_is_downloaded_to_a_folder_of_a_strangers_choice(tmp_path):
    config = OmegaConf.create({"paths": PATHS})
    for folder, data_dir, wanted in (
        (None, "data", True),
        (None, str(tmp_path / "none"), True),  # replaced by this machine's
        (None, str(tmp_path), False),
        (str(tmp_path), "data", True),
        (str(tmp_path / "none"), "data", False),
    ):
        settings = {
            "paths": PATHS | {"data_dir": data_dir, "output_dir": "theirs"},
            "dataset": {"dir": folder, "download": True},
        }
        replace_untrusted_paths(settings, config)
        assert settings["dataset"]["download"] is wanted
        assert settings["paths"]["output_dir"] == "outputs"


def test_no_encoder_of_a_strangers_choice_is_downloaded():
    options = {"path": "owner/name", "download": True}
    settings = {"paths": PATHS} | {group: {**options} for group in ("model", "tokenizer")}
    replace_untrusted_paths(settings, OmegaConf.create({"paths": PATHS}))
    assert settings["model"]["download"] is settings["tokenizer"]["download"] is False


def test_folders_of_a_run_that_was_killed_at_once(tmp_path, monkeypatch):
    """Hydra writes them before the run replaces them by values; other variables are refused."""
    file = tmp_path / "config.yaml"
    file.write_text("paths:\n  data_dir: ${oc.env:SEQTEXT_DATA_DIR,data}\n")
    assert read_stored_settings(file).paths.data_dir == "data"
    monkeypatch.setenv("SEQTEXT_DATA_DIR", "${oc.env:HOME}")
    with pytest.raises(UserError, match="is an interpolation"):
        read_stored_settings(file)
    file.write_text("paths:\n  data_dir: ${oc.env:SEQTEXT_OTHER,data}\n")
    with pytest.raises(UserError, match="is an interpolation"):
        read_stored_settings(file)


@pytest.mark.parametrize("text", REFERENCES)
def test_a_strangers_sweep(tmp_path, text):
    settings = {"split": {"folds": None, "fold": 0}, "dataset": {"dir": text}}
    metrics = {"score": 1.0, "monitor": "val/f1", "settings": settings}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(UserError, match="is an interpolation"):
        read_best_run(str(tmp_path))
    settings["dataset"]["dir"] = None
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / ".hydra").mkdir()
    choices = {"hydra": {"runtime": {"choices": {"model": text}}}}
    (tmp_path / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(choices))
    with pytest.raises(UserError, match=r"hydra\.yaml is damaged"):  # no choice is called that
        read_best_run(str(tmp_path))


def test_own_references_are_stored_as_their_values(train, small, tmp_path, monkeypatch):
    """A user's configuration may read the environment; the stored one has the values."""
    assert not has_interpolations(OmegaConf.create({"a": 1, "hydra": {"b": "${a}"}}))
    monkeypatch.setenv("FILES", str(tmp_path / "imdb"))
    options = [option for option in small if not option.startswith("dataset.dir")]
    status, _, error = train(*options, "name=r", "dataset.dir=${oc.env:FILES}")
    assert status == 0, error
    run = RunDir(tmp_path / "outputs" / "r")
    stored = read_stored_settings(run.path / ".hydra" / "config.yaml")
    assert stored.dataset.dir == str(tmp_path / "imdb")
    assert load_checkpoint(run.last_checkpoint)["seqtext"]["config"] == OmegaConf.to_container(
        stored
    )


def test_links_out_of_a_run_folder(tmp_path):
    for place in ("train.log", "checkpoints/best.ckpt", ".hydra/config.yaml", "figures"):
        run = tmp_path / "run"
        (run / place).parent.mkdir(parents=True, exist_ok=True)
        (run / "metrics.json").touch()
        check_links(run)
        (run / place).symlink_to(tmp_path / "else")
        with pytest.raises(UserError, match="is a link out of the run folder"):
            check_links(run)
        (run / place).unlink()
        (run / place).symlink_to(run / "metrics.json")
        check_links(run)
        shutil.rmtree(run)
