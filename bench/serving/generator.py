"""The load where h2load is absent: a Python client in its own process.

It costs as much processor time as the server it drives, so it understates calls/s; the ratio of
processor time per call stays usable. Prints seconds and failures; writes h2load's log format.
"""

import threading
import time
from pathlib import Path

import click
import grpc


def drive(
    channel: grpc.Channel, method: str, message: bytes, calls: int, in_flight: int
) -> list[tuple[int, int]]:
    """Send calls with so many in flight; return (begun, taken) of every good one in µs."""
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    free = threading.Semaphore(in_flight)
    good: list[tuple[int, int]] = []

    def sent() -> None:
        begun = time.perf_counter_ns()

        def done(future: "grpc.Future[bytes]") -> None:
            if future.exception() is None:
                good.append((begun // 1000, (time.perf_counter_ns() - begun) // 1000))
            free.release()

        call.future(message, timeout=60).add_done_callback(done)

    for _ in range(calls):
        free.acquire()
        sent()
    for _ in range(in_flight):
        free.acquire()
    return good


@click.command()
@click.argument("target")
@click.argument("method")
@click.argument("body", type=click.Path(path_type=Path))
@click.argument("calls", type=int)
@click.argument("in_flight", type=int)
@click.argument("log", type=click.Path(path_type=Path), required=False)
def main(
    target: str, method: str, body: Path, calls: int, in_flight: int, log: Path | None
) -> None:
    """Send the framed BODY so many times and print the seconds it took and the failures."""
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(target, options=options) as channel:
        grpc.channel_ready_future(channel).result(10)
        begun = time.perf_counter()
        good = drive(channel, method, body.read_bytes()[5:], calls, in_flight)
        seconds = time.perf_counter() - begun
    if log is not None:
        log.write_text("".join(f"{start}\t200\t{taken}\n" for start, taken in good))
    click.echo(f"{seconds:.6f} {calls - len(good)}")


if __name__ == "__main__":
    main()
