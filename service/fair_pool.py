"""Threads that tenants share fairly: each waits in a place of its own, and is served in turn.

Under pressure only some threads work, three of eight: the polling thread needs the interpreter for
several events of every call, gets it as one of those that want it, and what it is late for -
arrivals of light tenants, health, ends - waits. Fewer threads answer as many calls
(docs/adr/0024-overload.md). Work that may be large never takes all of these.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent import futures
from typing import Any

log = logging.getLogger("sonoba")

REST_SECONDS = 0.05  # for which a thread keeps out at most, in case no end tells it
PLACES_MAX = 1024  # beyond it, places where nothing waits are forgotten
Expect = Callable[["Place", Any, tuple[Any, ...]], bool]
"""Is shown what grpcio hands over; returns whether it will itself put it in its place."""


def nothing() -> None:
    """Tell nobody."""


class Task:
    """A call that waits or runs."""

    __slots__ = ("_arguments", "_work", "counts", "place")

    def __init__(
        self, place: "Place", work: Callable[..., object], arguments: tuple[object, ...]
    ) -> None:
        self.place = place
        self._work = work
        self._arguments = arguments
        self.counts = True  # among what is pending

    def run(self) -> None:
        """Do the work."""
        self._work(*self._arguments)


class Lane:
    """Work of one kind: the places in which some waits, in turn."""

    def __init__(self) -> None:
        self.ring: deque[Place] = deque()
        self.waiting = 0

    def put(self, task: Task) -> None:
        """Let a task wait in its place."""
        place = task.place
        if not place.waiting:
            self.ring.append(place)
        place.waiting.append(task)
        self.waiting += 1

    def take(self) -> Task:
        """Return the first task of the place whose turn it is."""
        place = self.ring.popleft()
        task = place.waiting.popleft()
        if place.waiting:
            self.ring.append(place)
        self.waiting -= 1
        return task


class Place(futures.ThreadPoolExecutor):
    """Where the calls of one tenant wait, of one kind; grpcio hands them over with `submit`.

    It gets no future: of a call's end it would take a lock that its polling thread holds, to count
    what only its own limit of calls at once needs.
    """

    def __init__(self, pool: "FairPool", tenant: str, is_large: bool) -> None:
        super().__init__(1, "place")  # its own thread starts with its own submit: never
        self._pool = pool
        self.tenant, self.is_large = tenant, is_large
        self.waiting: deque[Task] = deque()

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:  # type: ignore[override]
        """Run a call soon; return None."""
        pool = self._pool
        if pool.expected is None or not pool.expected(self, work, arguments):
            pool.expect(self)
            pool.put(Task(self, work, arguments))


class FairPool(futures.ThreadPoolExecutor):
    """A pool for calls whose outcome nobody waits for: places, and threads that start at once.

    The library's pool makes a future with a lock and a condition for every call; without them a
    call takes a tenth less processor time (docs/performance.md). `pending` counts what waits or
    runs, `pending_of` that of each tenant who has some; `on_end` is told when a call has ended
    while `watch_from` or more are pending, and once afterwards.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, name)
        self._name, self._size = name, size
        self._lock = threading.Lock()
        self._ready: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False ends a thread
        self._small, self._large = Lane(), Lane()
        self._pressed_size = min(size, max(2, size * 3 // 8))
        self._large_max = max(1, self._pressed_size - 1)
        self._large_used = self._large_due = 0  # has a thread, running or promised; only promised
        self._is_turn_of_large = False
        self.pending = 0
        self.pending_of: dict[str, int] = {}
        self.on_end: Callable[[], None] = nothing
        self.watch_from = 1
        self.expected: Expect | None = None  # who waits for requests first (service/arrivals.py)
        self._is_watched = False  # which is under pressure
        self._calm = threading.Event()
        self._places: dict[tuple[str, bool], Place] = {}
        self._anybody = self.place("")
        for number in range(size):
            self._start(number)

    @property
    def waiting_count(self) -> int:
        """How many calls have no thread yet."""
        return self._small.waiting + self._large.waiting

    @property
    def thread_count(self) -> int:
        """How many threads there are, lent ones among them."""
        return self._size

    def place(self, tenant: str, is_large: bool = False) -> Place:
        """Return where the calls of a tenant wait."""
        key = tenant, is_large
        found = self._places.get(key)
        if found is None:
            if len(self._places) >= PLACES_MAX:
                busy = self.pending_of
                self._places = {k: p for k, p in self._places.items() if k[0] in busy}
            found = self._places[key] = Place(self, tenant, is_large)
        return found

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Any:  # type: ignore[override]
        """Run a call of nobody in particular soon; return None."""
        self._anybody.submit(work, *arguments)

    def expect(self, place: Place) -> None:
        """Count a call of a place, which is put there now or soon."""
        tenant, of = place.tenant, self.pending_of
        with self._lock:
            self.pending += 1
            of[tenant] = of.get(tenant, 0) + 1

    def set_aside(self, task: Task) -> None:
        """Count an expected call no more: its caller holds it up."""
        with self._lock:
            self._count_end(task)
        self.on_end()

    def put(self, task: Task) -> None:
        """Let an expected task wait in its place until its turn."""
        place = task.place
        with self._lock:
            if not place.is_large:
                self._small.put(task)
                self._ready.put(True)
                return
            self._large.put(task)
            self._promise()

    def lend(self, is_large: bool) -> None:
        """Start one more thread, for one that its caller holds up; that call counts no more."""
        with self._lock:
            self.pending -= 1
            self._size += 1
            number = self._size
            self._large_used -= is_large
            self._promise()
        self._start(number)
        self.on_end()

    def take_back(self, is_large: bool) -> None:
        """End one thread: the one that was held up goes on."""
        with self._lock:
            self.pending += 1
            self._size -= 1
            self._large_used += is_large
        self._ready.put(False)

    def _promise(self) -> None:
        """Promise a thread to large work that waits, while it has fewer than its share."""
        while self._large.waiting > self._large_due and self._large_used < self._large_max:
            self._large_used += 1
            self._large_due += 1
            self._ready.put(True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End every thread after the calls before; none is waited for."""
        for _ in range(self._size):
            self._ready.put(False)

    def _start(self, number: int) -> None:
        threading.Thread(
            target=self._work, args=(number,), name=f"{self._name}_{number}", daemon=True
        ).start()

    def _work(self, number: int) -> None:
        while True:
            if self._is_watched and number >= self._pressed_size:
                self._calm.wait(REST_SECONDS)
            if not self._ready.get():
                return
            with self._lock:
                task = self._next()
            try:
                task.run()
            except BaseException:
                log.exception("a call ended outside its handler")
            self._end(task)
            del task  # or the last request stays in memory until the next one

    def _next(self) -> Task:
        """Return what is to be done now: of small and large work in turn, where there is both."""
        if self._large_due and (self._is_turn_of_large or not self._small.waiting):
            self._large_due -= 1
            self._is_turn_of_large = False
            return self._large.take()
        self._is_turn_of_large = True
        return self._small.take()

    def _end(self, task: Task) -> None:
        """Count the end of a call, and promise its thread to the next large one."""
        with self._lock:
            self._count_end(task)
            pending = self.pending
            if task.place.is_large:
                self._large_used -= 1
                self._promise()
        if pending >= self.watch_from or self._is_watched:
            self._is_watched = pending >= self.watch_from
            (self._calm.clear if self._is_watched else self._calm.set)()
            self.on_end()

    def _count_end(self, task: Task) -> None:
        if not task.counts:
            return
        task.counts, tenant = False, task.place.tenant
        self.pending -= 1
        left = self.pending_of[tenant] - 1
        if left:
            self.pending_of[tenant] = left
        else:
            del self.pending_of[tenant]
