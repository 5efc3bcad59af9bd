"""Stores of profiles that bring their reference, and prompts for them."""

import time
from dataclasses import replace
from functools import lru_cache

from model.document import changed
from model.features import Number
from model.manifest import Feature, FeatureSchema, Label
from model.profile_fit import fit
from model.profile_support import held_out_folds
from model.schema import Column, Schema
from model.store import Store
from service.profile_fit import Fitted
from service.reference_fit import watched_profile
from sonoba.v1 import predictor_pb2_grpc
from tests.model import profiles, versions
from tests.service.asking import COLUMNS, asking

NAME = "tasks"


@lru_cache
def fitted(seed=0):
    """Return a profile with the reference of its history, which has a seed."""
    history = profiles.history(seed=seed)
    learnt = fit(history) if seed else profiles.learnt()
    return watched_profile(Fitted(learnt), held_out_folds(history, learnt, 0), seed=0)


def save(folder, name=NAME, found=None, **arrays):
    """Store a profile under a name and put it in force, some of its arrays replaced."""
    Store(folder).save(*drafted(name, found, **arrays))
    return folder


def drafted(name=NAME, found=None, columns=COLUMNS, unit="", label_unit="", **arrays):
    """Return what a store takes of a profile."""
    found = found or fitted()
    schema = FeatureSchema(
        features=tuple(Feature(name=n, unit=unit, mean=0.0, deviation=1.0) for n in columns),
        label=Label(name="y", unit=label_unit, mean=0.0, deviation=1.0),
        sources=tuple(Number(name=n, unit=unit) for n in columns),
        hash=Schema(tuple(Column(n, unit) for n in columns)).hash,
    )
    update = {"feature_schema": schema, "feature_count": len(columns)}
    draft = versions.a_draft(name)
    monitoring = "" if found.reference is None else found.reference.id
    known = changed(draft.reference, monitoring=monitoring)
    draft = changed(draft, **{**update, "reference": known})
    named = {f"monitoring.{key}": value for key, value in arrays.items()}
    kept = {key: value for key, value in (found.arrays() | named).items() if value is not None}
    return draft, kept


def provisional():
    """Return the same profile, learnt from fewer groups."""
    return replace(fitted(), parameters=replace(fitted().parameters, group_count=5))


def unwatched():
    """Return the same profile without its reference."""
    return replace(fitted(), reference=None)


def request(block, place=0, model=NAME, **fields):
    x, y = block.context
    return asking(x[place], y[place], block.queries[place], model=model, **fields)


def wait(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def stub_of(channel):
    return predictor_pb2_grpc.PredictorStub(channel)
