"""Histories whose slopes, noise and odd groups are known, and the material of their assessment."""

import numpy as np

from model.answer import Mode
from model.features import Number
from model.history import Group, History
from model.profile_fit import silent
from model.profile_support import held_out_folds
from service.assess.asking import LEVELS, Asked
from service.assess.material import Material
from service.held_out import LENGTHS, draw, judge
from service.history_sums import HistoryRead
from service.profile_fit import calibrated_profile, fit_profile

D, NOISE, SCATTER = 4, 1.0, 0.3
SLOPES = np.array([2.0, -1.5, 1.0, 0.5])


def group(rng, name, rows=80, noise=NOISE, slopes=None, level=0.0, scale=1.0):
    """Return one group: y = level + slopes · x + noise, x of deviation `scale`."""
    w = SLOPES + SCATTER * rng.normal(size=D) if slopes is None else np.asarray(slopes)
    x = scale * rng.normal(size=(rows, len(w)))
    return Group(name, x, level + x @ w + noise * rng.normal(size=rows))


def groups(seed, count, **told):
    rng = np.random.default_rng(seed)
    return tuple(group(rng, f"g{seed}.{i}", **told) for i in range(count))


def learnt(known):
    """Return a profile of groups, its intervals calibrated on them."""
    history = History(tuple(known), False)
    fitted = fit_profile(history, 0, 4, silent)
    folds = held_out_folds(history, fitted.parameters, 0)
    return history, calibrated_profile(fitted, folds) if folds else fitted


def material_of(known, fitted, unseen, sources=None, boosting=None):
    """Return what an assessment looks at, of groups held out by hand."""
    history = History(tuple(unseen), known.is_ordered)
    prompts = {M: found for M in LENGTHS if (found := draw(history, M, 0))}
    cells = [judge(found, fitted, boosting) for found in prompts.values()]
    d = known.groups[0].x.shape[1]
    sources = sources or tuple(Number(name=f"x{j}") for j in range(d))
    empty = np.full(d + 1, np.nan)
    whole = History(known.groups + history.groups, known.is_ordered)
    read = HistoryRead(whole, (), sources, {}, empty, empty, 0, 0, ())
    return Material(read, known, history, fitted, fitted.served(), boosting, prompts, cells, 0)


def asked_by_hand(prompts, answers, half_widths=1.0):
    """Return prompts as if a profile had answered them so; NaN is a refusal."""
    halves = np.broadcast_to(np.asarray(half_widths), (*answers.shape, len(LEVELS)))
    given = np.isfinite(answers).all(axis=1)
    modes = np.where(given, Mode.PROFILE, 0).astype(np.uint8)
    return Asked(prompts, answers, np.where(given[:, None, None], halves, np.nan), modes)
