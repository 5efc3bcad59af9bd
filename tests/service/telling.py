"""A collector of spans, and a server process whose lines and spans are read as they come."""

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp

from sonoba.v1 import predictor_pb2_grpc
from tests.service.watched import wait

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collector:
    """An OTLP/gRPC endpoint that keeps what it is sent."""

    def __init__(self):
        self.requests = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        export = grpc.unary_unary_rpc_method_handler(
            self._export,
            otlp.ExportTraceServiceRequest.FromString,
            otlp.ExportTraceServiceResponse.SerializeToString,
        )
        handler = grpc.method_handlers_generic_handler(EXPORT, {"Export": export})
        self._server.add_generic_rpc_handlers((handler,))
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _export(self, request, context):
        self.requests.append(request)
        return otlp.ExportTraceServiceResponse()

    @property
    def resources(self):
        return [one for request in list(self.requests) for one in request.resource_spans]

    @property
    def spans(self):
        """Every span so far, in the order in which they came."""
        scopes = [scope for one in self.resources for scope in one.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def spans_of(self, trace_id, count=1):
        """Wait for the spans of a trace; return them."""
        wait(lambda: len(self._of(trace_id)) >= count)
        return self._of(trace_id)

    def _of(self, trace_id):
        return [span for span in self.spans if span.trace_id.hex() == trace_id]

    def close(self):
        self._server.stop(0).wait()


def attributes(span):
    """Return the attributes of a span or a resource as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


class Told:
    """A `sonoba` process that logs JSON, and every line it has written to either stream."""

    def __init__(self, command, environ):
        self.lines = []
        self.child = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *command],
            env={**os.environ, "PYTHONPATH": "client", "SONOBA_LOG_FORMAT": "json", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            (started,) = self.wait_for("start")
        except BaseException:
            self.stop()
            raise AssertionError(self.lines) from None
        self.listening = started["listening"]

    def _read(self):
        with self.child.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))

    def records(self, event=None):
        found = [json.loads(line) for line in list(self.lines)]
        return [one for one in found if event in (None, one["event"])]

    def wait_for(self, event, count=1):
        """Wait for lines of an event; return them."""
        wait(lambda: len(self.records(event)) >= count or self.child.poll() is not None)
        assert len(self.records(event)) >= count, self.lines
        return self.records(event)

    def stop(self):
        """Ask the process to end, and read to its last line."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            status = self.child.wait(20)
        finally:
            self.child.kill()
        self._reader.join()
        return status


@contextmanager
def telling(**environ):
    """Run `sonoba serve`, every line of it JSON."""
    ports = {"SONOBA_GRPC_PORT": "0", "SONOBA_METRICS_PORT": "0", "SONOBA_LAME_DUCK_SECONDS": "0"}
    told = Told(["serve"], ports | environ)
    channel = grpc.insecure_channel(told.listening["predictions"])
    told.channel, told.stub = channel, predictor_pb2_grpc.PredictorStub(channel)
    try:
        yield told
    finally:
        channel.close()
        told.stop()
