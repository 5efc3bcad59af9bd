"""PredictStream: in order, whatever the shape; a bad prompt does not end it."""

import itertools
import time

import grpc
import numpy as np
import pytest

from sonoba.v1 import predictor_pb2 as pb
from tests.service.asking import asking


def prompts(count):
    rng = np.random.default_rng(0)
    for i in range(count):
        M, d = 6 + i % 5, 1 + i % 4
        x = rng.normal(size=(M, d))
        yield asking(x, x.sum(1) + i, x[:1])


def numbered(requests):
    for i, request in enumerate(requests):
        yield pb.PredictStreamRequest(sequence=100 + i, request=request)


def test_prompts_of_any_shape_are_answered_in_order(stub):
    answers = list(stub.PredictStream(numbered(prompts(40))))

    assert [a.sequence for a in answers] == list(range(100, 140))
    for request, answer in zip(prompts(40), answers, strict=True):
        expected = stub.Predict(request).predictions
        np.testing.assert_allclose(answer.response.predictions, expected, rtol=1e-12)


def test_a_bad_prompt_is_answered_with_its_error_and_the_stream_goes_on(stub):
    good, bad = next(prompts(1)), next(prompts(1))
    bad.examples.labels.raw = bad.examples.labels.raw[:-8]

    answers = list(stub.PredictStream(numbered([good, bad, good])))

    assert [a.WhichOneof("result") for a in answers] == ["response", "error", "response"]
    assert (answers[1].error.reason, answers[1].error.field) == ("BAD_SHAPE", "examples.labels")


def test_two_contexts_in_a_stream_are_seen(served):
    request = next(prompts(1))
    both = (
        request.SerializeToString()
        + pb.PredictRequest(summary=pb.ExampleSummary(example_count=9)).SerializeToString()
    )
    wire = b"\x08\x07\x12" + _length(both) + both
    call = served.channel.stream_stream(
        "/sonoba.v1.Predictor/PredictStream",
        response_deserializer=pb.PredictStreamResponse.FromString,
    )

    (answer,) = call(iter([wire]))

    assert answer.sequence == 7
    assert "got both" in answer.error.message


def _length(body):
    size, wire = len(body), b""
    while size > 127:
        wire, size = wire + bytes([size & 127 | 128]), size >> 7
    return wire + bytes([size])


def test_a_stream_ends_with_ok_at_its_age(serving):
    short = serving(stream_seconds=0.3)

    def slowly():
        for request in numbered(itertools.cycle(prompts(1))):
            yield request
            time.sleep(0.05)

    call = short.stub.PredictStream(slowly())
    answers = list(call)

    assert call.code() is grpc.StatusCode.OK
    assert len(answers) >= 1


def test_an_idle_stream_ends_with_ok_at_its_age(serving):
    short = serving(stream_seconds=0.3)

    def silent():
        time.sleep(2.0)
        yield from ()

    call = short.stub.PredictStream(silent())

    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK


def test_one_stream_too_many_is_refused_and_predictions_go_on(serving):
    narrow = serving(max_streams=2)
    feeds = [_Feed() for _ in range(3)]
    open_streams = [narrow.stub.PredictStream(iter(feed)) for feed in feeds[:2]]
    for feed, stream in zip(feeds, open_streams, strict=False):
        feed.send()
        assert next(stream).response.predictions

    with pytest.raises(grpc.RpcError) as caught:
        next(narrow.stub.PredictStream(iter(feeds[2])))

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "expected at most 2 open streams" in caught.value.details()
    assert narrow.stub.Predict(next(prompts(1))).predictions
    for stream in open_streams:
        stream.cancel()
    for feed in feeds:
        feed.close()


class _Feed:
    """Requests sent when told to."""

    def __init__(self):
        import queue

        self._queue = queue.Queue()

    def send(self):
        self._queue.put(pb.PredictStreamRequest(request=next(prompts(1))))

    def close(self):
        self._queue.put(None)

    def __iter__(self):
        return iter(self._queue.get, None)
