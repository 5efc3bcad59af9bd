"""The tenant a client was made for goes with every call, in both clients."""

import asyncio

import pytest

import sonoba

SHOP = {"tenant": "shop-7"}


def test_every_call_names_the_tenant(target, reference, make_prompt):
    with sonoba.Client(target, **SHOP) as client:
        prompt = make_prompt()
        client.predict(prompt.examples, prompt.labels, prompt.queries)
        client.predict_many([make_prompt() for _ in range(5)])
        list(client.stream([make_prompt() for _ in range(3)]))
        client.summarize(prompt.examples, prompt.labels)
        client.models()

    assert set(reference.attempts) >= {"Predict", "PredictBatch", "PredictStream", "GetModel"}
    assert reference.tenants == {"shop-7": reference.attempts.total()}


def test_every_call_of_the_asynchronous_client_does_too(target, reference, make_prompt):
    async def work():
        async with sonoba.aio.Client(target, **SHOP) as client:
            prompt = make_prompt()
            await client.predict(prompt.examples, prompt.labels, prompt.queries)
            await client.predict_many([make_prompt() for _ in range(5)])
            _ = [one async for one in client.stream([make_prompt() for _ in range(3)])]
            await client.models()

    asyncio.run(work())

    assert set(reference.attempts) >= {"Predict", "PredictBatch", "PredictStream", "GetModel"}
    assert reference.tenants == {"shop-7": reference.attempts.total()}


@pytest.mark.parametrize("tenant", [{}, {"tenant": ""}])
def test_without_one_nothing_is_said(target, reference, tenant):
    with sonoba.Client(target, **tenant) as client:
        client.models()

    assert set(reference.tenants) == {None}
