"""Trained models: load, predict, explain, evaluate, export."""
