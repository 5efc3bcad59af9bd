"""Calls without pause for some seconds: `python -m tests.e2e.load ADDRESS SECONDS`.

One thread calls as customers do, through `sonoba.Client`; one without any retry, though it waits
for a connection. Each has one of its own. Prints what came of the calls, as JSON.
"""

import json
import sys
import threading
import time

import grpc
import numpy as np

import sonoba
from sonoba.v1 import predictor_pb2_grpc
from tests.service.asking import asking

X = np.random.default_rng(0).normal(size=(16, 5))
Y = X.sum(1)


def customer(address, until, outcome):
    expected = None
    with sonoba.Client(address, timeout=5.0) as client:
        while time.monotonic() < until:
            try:
                values = list(client.predict(X, Y, X[:1]).values)
            except sonoba.SonobaError as error:
                outcome["failed"].append(f"{type(error).__name__}: {error}")
            else:
                expected = values if expected is None else expected
                outcome["answered" if np.allclose(values, expected) else "wrong"] += 1


def plain(address, until, outcome):
    options = [("grpc.enable_retries", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        stub, request = predictor_pb2_grpc.PredictorStub(channel), asking(X, Y, X[:1])
        while time.monotonic() < until:
            try:
                stub.Predict(request, timeout=5.0, wait_for_ready=True)
                outcome["answered"] += 1
            except grpc.RpcError as error:
                failed = error.code().name, error.details()
                outcome["failed"].append((time.monotonic(), *failed))


def main():
    address, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
    outcomes = {f.__name__: {"answered": 0, "wrong": 0, "failed": []} for f in (customer, plain)}
    threads = [
        threading.Thread(target=f, args=(address, until, outcomes[f.__name__]))
        for f in (customer, plain)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
