"""Calls of the public Triton client, unchanged: one JSON line in, one out.

Runs in .venv-triton, which holds no sonoba and another protobuf than the server's.
"""

import asyncio
import json
import queue
import sys

import numpy as np
import tritonclient.grpc as client
import tritonclient.grpc.aio as client_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

CLIENTS = {}


def client_of(address):
    if address not in CLIENTS:
        CLIENTS[address] = client.InferenceServerClient(address)
    return CLIENTS[address]


def asked(model, tensors, outputs=None, **more):
    """Return the arguments of an infer()."""
    inputs = []
    for name, (dtype, values) in tensors.items():
        array = np.array(values, dtype)
        tensor = client.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    wanted = None if outputs is None else [client.InferRequestedOutput(one) for one in outputs]
    return {"model_name": model, "inputs": inputs, "outputs": wanted, **more}


def plain(result):
    """Return a result as JSON holds it: doubles survive."""
    response = result.get_response()
    return {
        "outputs": {one.name: result.as_numpy(one.name).tolist() for one in response.outputs},
        "model": [response.model_name, response.model_version],
        "id": response.id,
        "parameters": {key: one.string_param for key, one in response.parameters.items()},
    }


def infer(address, *arguments, **named):
    return plain(client_of(address).infer(**asked(*arguments, **named)))


def infer_with_callbacks(address, requests):
    """Return the results of requests that are all in flight at once, in order."""
    done = queue.Queue()
    for place, (model, tensors) in enumerate(requests):
        client_of(address).async_infer(
            callback=lambda result, error, place=place: done.put((place, result, error)),
            **asked(model, tensors),
        )
    found = {}
    for _ in requests:
        place, result, error = done.get(timeout=30)
        found[place] = failed(error) if error else plain(result)
    return [found[place] for place in range(len(requests))]


def infer_in_a_loop(address, requests):
    async def all_of_them():
        async with client_aio.InferenceServerClient(address) as loop_client:
            calls = [loop_client.infer(**asked(*request)) for request in requests]
            return [plain(result) for result in await asyncio.gather(*calls)]

    return asyncio.run(all_of_them())


def failed(error):
    return {"status": error.status(), "message": error.message()}


def answer(line):
    call, arguments, named = line["call"], line["arguments"], line["named"]
    own = {"infer": infer, "callbacks": infer_with_callbacks, "loop": infer_in_a_loop}
    try:
        if call in own:
            return own[call](line["address"], *arguments, **named)
        return getattr(client_of(line["address"]), call)(*arguments, **named)
    except InferenceServerException as error:
        return failed(error)


if __name__ == "__main__":
    for text in sys.stdin:
        print(json.dumps({"answer": answer(json.loads(text))}), flush=True)
