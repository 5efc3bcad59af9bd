"""Gradient pretraining; the only package that imports torch."""
