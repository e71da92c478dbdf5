"""Runs without pictures: sweeps are of many."""

import pytest


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr("seqtext.results.record.figures", lambda *_, **__: {})
    monkeypatch.setattr("seqtext.run.pictures", lambda *_: {})
