"""Runs without pictures: sweeps are of many."""

import pytest


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr("seqtext.training.artifacts.figures", lambda *_, **__: {})
    monkeypatch.setattr("seqtext.training.train.pictures", lambda *_: {})
