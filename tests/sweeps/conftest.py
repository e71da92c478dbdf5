"""Fixtures for sweeps: runs without figures."""

import pytest


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr("seqtext.training.artifacts.get_prediction_plots", lambda *_, **__: {})
    monkeypatch.setattr("seqtext.training.train.draw_data_figures", lambda *_: {})
