"""What a supervisor decides: when a worker is started again, on which ports, on which core."""

import math
import socket

import pytest

from service.pinning import core_of, is_own_machine
from service.port_hold import PortHold
from service.restarts import FAILED_STARTS_MAX, LONGEST_WAIT_SECONDS, Restarts
from service.settings import Settings, SettingsError
from service.start_error import StartError
from service.worker_line import MARK, Failed, Started, line_of, read
from service.worker_ports import ports_of


def test_the_wait_doubles_with_every_short_life_up_to_a_bound():
    life = Restarts()

    waits = []
    for now in range(10):
        life.ready(float(now))
        waits.append(life.ended(now + 0.5))

    assert waits[:5] == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert not life.is_hopeless


def test_a_long_life_makes_the_short_ones_forgotten():
    life = Restarts()
    for now in range(6):
        life.ready(float(now))
        life.ended(now + 0.5)
    life.ready(100.0)

    assert life.ended(100.0 + 3600.0) == 0.25
    assert life.due == 3700.25


def test_starting_is_hopeless_after_many_starts_that_all_fail_and_not_before():
    life = Restarts()
    for now in range(FAILED_STARTS_MAX - 1):
        life.ended(float(now))

    assert not life.is_hopeless
    life.ended(100.0)
    assert life.is_hopeless
    life.ready(101.0)
    assert not life.is_hopeless


def test_a_start_is_due_once():
    life = Restarts()
    life.ended(1.0)

    life.started()

    assert (life.due, life.count) == (math.inf, 1)


def test_workers_take_the_ports_behind_the_settings(tmp_path):
    settings = Settings(workers=3, admin_token_file=tmp_path / "token")

    found = ports_of(settings, 50051)

    assert [one.grpc for one in found] == [50051] * 3
    assert [one.metrics for one in found] == [9465, 9466, 9467]
    assert [one.admin for one in found] == [50052, 50053, 50054]


def test_a_free_port_is_asked_for_in_every_process():
    (one, other) = ports_of(Settings(workers=2, metrics_port=0, admin_port=0), 50051)

    assert one == other
    assert (one.metrics, one.admin) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metrics_port": 65534}, "metrics_port: expected room for 2 workers, got port 65536"),
        ({"metrics_port": 50050}, "metrics_port: port 50051 of 2 workers is also in grpc_port's"),
        ({"admin_port": 50050}, "admin_port: port 50051 of 2 workers is also in grpc_port's"),
        ({"admin_port": 9464}, "admin_port: port 9464 of 2 workers is also in metrics_port's"),
    ],
)
def test_ports_that_do_not_exist_or_collide_are_named(tmp_path, changes, sentence):
    settings = Settings(workers=2, admin_token_file=tmp_path / "token", **changes)

    with pytest.raises(StartError, match=sentence):
        ports_of(settings, 50051)


def test_an_admin_port_that_stays_closed_collides_with_nothing():
    assert len(ports_of(Settings(workers=2, admin_port=50050), 50051)) == 2


def test_a_held_port_is_nobody_elses_and_is_free_again_after():
    hold = PortHold("127.0.0.1", 0)

    with pytest.raises(OSError, match="Address already in use"):
        PortHold("127.0.0.1", hold.port)
    with socket.socket() as alone, pytest.raises(OSError, match="Address already in use"):
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers set it
        alone.bind(("127.0.0.1", hold.port))
    hold.close()
    PortHold("127.0.0.1", hold.port).close()


def test_a_held_port_lets_those_in_who_share_and_takes_no_connection_of_theirs():
    hold = PortHold("127.0.0.1", 0)
    with socket.socket() as worker:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", hold.port))
        worker.listen(128)
        worker.settimeout(5)

        for _ in range(64):
            with socket.create_connection(("127.0.0.1", hold.port), 5):
                worker.accept()[0].close()
    hold.close()


def test_a_port_that_only_sharers_use_is_refused_too():
    """A second start of the whole, while the first one's workers listen."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()

        with pytest.raises(OSError, match="Address already in use"):
            PortHold("127.0.0.1", other.getsockname()[1])


CORES = frozenset({2, 5, 7})


@pytest.mark.parametrize(
    ("pin", "workers", "owns", "expected"),
    [
        ("auto", 3, True, [2, 5, 7]),
        ("auto", 3, False, [None] * 3),
        ("auto", 2, True, [None] * 2),  # others have the rest, the kernel shall choose
        ("auto", 1, True, [None]),
        ("on", 2, False, [2, 5]),
        ("on", 4, False, [2, 5, 7, 2]),
        ("off", 3, True, [None] * 3),
    ],
)
def test_workers_are_pinned_where_they_fill_a_machine_of_their_own(pin, workers, owns, expected):
    numbers = range(workers)

    assert [core_of(pin, n, workers, CORES, lambda: owns) for n in numbers] == expected


def test_where_the_system_tells_no_cores_nobody_is_pinned():
    assert core_of("on", 0, 2, frozenset()) is None


def test_a_container_is_no_machine_of_its_own(tmp_path):
    mark = tmp_path / ".dockerenv"
    before = is_own_machine((mark,))

    mark.touch()

    assert before
    assert not is_own_machine((mark,))


def test_pin_is_one_of_three_words():
    with pytest.raises(SettingsError, match="SONOBA_PIN: input should be 'auto', 'on' or 'off'"):
        Settings.from_environ({"SONOBA_PIN": "yes"})


@pytest.mark.parametrize("told", [Failed("no 'such' \n file"), Started(1, 2, 0, "the model x")])
def test_what_a_worker_tells_survives_the_pipe(told):
    line = line_of(told)

    assert line.startswith(MARK)
    assert "\n" not in line
    assert read(line + "\n") == told


def test_other_lines_tell_nothing():
    assert read("listening\n") is None
