"""Callers that replay real weeks, each of its own model, and move their covariates when told to."""

import threading
import time

import numpy as np

import sonoba
from service.replay import draw

LENGTH, TOGETHER = 32, 5
PROMPTS_PER_SECOND = 25.0


def unchanged(x):
    """Return covariates as they were measured."""
    return x


class Caller:
    """Sends distinct prompts of real weeks to two replicas in turn, at a steady rate."""

    def __init__(self, hours, model, addresses, seed):
        self.model, self.columns = model, hours.features
        self.change, self.rate, self.label_change = unchanged, PROMPTS_PER_SECOND, unchanged
        self.answered, self.failed = 0, 0
        self.errors = []  # (monotonic seconds, mean squared error by the labels, version)
        self._prompts = draw(hours, LENGTH, 4000, seed)
        self._clients = [sonoba.Client(address, timeout=2.0) for address in addresses]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._ends.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _run(self):
        place, due = 0, time.monotonic()
        while not self._ends.is_set():
            client = self._clients[(place // TOGETHER) % len(self._clients)]
            self._send(client, place)
            place = (place + TOGETHER) % len(self._prompts.y)
            due = max(due + TOGETHER / self.rate, time.monotonic() - 1.0)
            self._ends.wait(max(due - time.monotonic(), 0.0))

    def _send(self, client, start):
        p, change = self._prompts, self.change
        prompts = [
            sonoba.Prompt(
                change(p.x[i]), self.label_change(p.y[i]), change(p.queries[i]), self.columns
            )
            for i in range(start, start + TOGETHER)
        ]
        told = client.predict_many(prompts, model=self.model, return_exceptions=True)
        failed = sum(isinstance(one, Exception) for one in told)
        for one, truth in zip(told, p.truth[start : start + TOGETHER], strict=True):
            if not isinstance(one, Exception):
                error = float(np.square(np.asarray(one.values) - truth).mean())
                self.errors.append((time.monotonic(), error, one.model_version))
        self.failed += failed
        self.answered += len(told) - failed

    def error_between(self, start, end):
        """Return the mean squared error by the labels of what was answered in a span of time."""
        return float(np.mean([error for when, error, _ in self.errors if start <= when < end]))

    def absurd(self):
        """Send one prompt whose numbers are far outside anything."""
        x = np.full((LENGTH, len(self.columns)), 1e12) * np.arange(1, LENGTH + 1)[:, None]
        wild = sonoba.Prompt(x, np.arange(LENGTH) * 1e9, x[:1] * 3.0, self.columns)
        self._clients[0].predict_many([wild], model=self.model, return_exceptions=True)
