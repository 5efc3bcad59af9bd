"""How a model answers prompts like those of a window, in the terms that causes are read in."""

import numpy as np

from model.checkpoint import Model
from model.paper import PaperModel
from model.profile import ProfileModel
from monitoring.attribution import Answering
from monitoring.evidence import Evidence


def answering_of(model: Model, window: Evidence) -> Answering:
    """Return how a model answers at the window's length.

    A prior that each prompt chooses is what the prompts of the window chose on average.
    """
    n, p = window.scene.prompt_count, len(window.scene.means)
    M, eye = n / window.scene.inverse_lengths, np.eye(p)  # (), (p, p)
    if isinstance(model, PaperModel):
        terms = M - model.centred  # of the sum that A is made for
        A = model.weights(max(round(terms), 1)) * (M / terms)  # (p, p)
        law = model.parameters
        return Answering(law.task_variance * eye, law.noise_variance, A)
    if isinstance(model, ProfileModel) and len((prior := model.prior(round(M))).mean) == p:
        return Answering(prior.covariance, prior.noise_variance)
    return Answering(window.task_variance / n * eye, window.noise / n)
