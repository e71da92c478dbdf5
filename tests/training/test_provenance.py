"""Provenance of a result."""

import subprocess

from seqtext.training import provenance
from seqtext.training.provenance import GitInfoThread, collect_provenance


def git(folder, *words):
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True)


def state_of(folder):
    checkout = GitInfoThread(folder)
    if checkout.is_alive():
        checkout.join(60)
    return checkout.read()


def test_a_checkout(tmp_path):
    package = tmp_path / "src" / "package"
    package.mkdir(parents=True)
    (package / "a.py").write_text("1")
    nothing = {"git_commit": None, "git_dirty": None}
    git(tmp_path, "init")
    assert state_of(package) == nothing
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")
    clean = state_of(package)
    assert len(clean["git_commit"]) == 40
    assert clean["git_dirty"] is False
    (package / "b.py").write_text("2")
    assert state_of(package) == clean | {"git_dirty": True}
    installed = tmp_path / "site-packages" / "package"
    installed.mkdir(parents=True)
    assert state_of(installed) == nothing


def test_an_installed_package_leaves_the_query_to_the_current_folder(tmp_path, monkeypatch):
    git(tmp_path, "init")
    (tmp_path / "conf").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "__file__", "/x/site-packages/seqtext/provenance.py")
    query = provenance.start_git_query.__wrapped__()
    query.join(60)
    assert len(query.read()["git_commit"]) == 40


def test_without_git(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    (tmp_path / "package").mkdir()
    monkeypatch.setenv("PATH", "")
    assert state_of(tmp_path / "package") == {"git_commit": None, "git_dirty": None}


def test_all_of_it(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "name=a b", "hydra.mode=MULTIRUN"])
    monkeypatch.setattr(provenance, "PACKAGES", ("torch", "nowhere"))
    provenance.collect_versions.cache_clear()
    found = collect_provenance()
    provenance.collect_versions.cache_clear()
    assert found["command"] == "python train.py 'name=a b'"
    assert set(found["versions"]) == {"python", "torch", "nowhere"}
    assert found["versions"]["nowhere"] is None
    assert found["hardware"]["cpu"]
    assert found["hardware"]["threads"] >= 1
    assert {"git_commit", "git_dirty"} < set(found)
