"""One replica of the simulation: its monitor, and which prompts its monitor can tell of.

The second is kept apart from the monitor, by the rules as written down (docs/monitoring.md, "The
state that merges"): whole blocks of one length, the newest `BLOCKS_MAX`, none from before a
restart. Those prompts are what a single monitor is given to compare with.
"""

from collections import deque

import numpy as np

from bench.drift_subjects import Subject
from monitoring.monitor import Monitor
from monitoring.recent import BLOCKS_MAX
from monitoring.seen import Seen
from monitoring.state import State
from service.replicas import Told

VERSION, OLDER = "f" * 12, "0" * 12


class Process:
    """A server process with one model."""

    def __init__(self, subject: Subject, version: str = VERSION) -> None:
        self._subject, self._version = subject, version
        self.seen_count = 0
        self.restart()

    def restart(self) -> None:
        """Forget everything, as a new process does."""
        of = self._subject
        self._monitor = Monitor(of.kind, self._version, of.kind, of.reference)
        watch = self._monitor.watch
        assert watch is not None  # the reference comes with the version
        self._block_prompts = watch.recent.block_prompts
        self._whole: deque[list[Seen]] = deque(maxlen=BLOCKS_MAX)
        self._filling: dict[int, list[Seen]] = {}  # by length

    def take(self, seen: Seen) -> None:
        """Answer prompts of one length, in stretches that end where a block does."""
        count, start = len(seen.served.gram), 0
        self.seen_count += count
        while start < count:
            block = self._filling.setdefault(seen.served.count, [])
            room = self._block_prompts - sum(len(one.served.gram) for one in block)
            stop = min(start + room, count)
            block.append(seen.take(np.arange(start, stop)))
            self._monitor.observe(block[-1])
            if stop - start == room:
                self._whole.append(self._filling.pop(seen.served.count))
            start = stop

    @property
    def blocks(self) -> list[list[Seen]]:
        """The prompts that the monitor should tell of."""
        return list(self._whole)

    def told(self, address: str) -> Told:
        """Return what it answers a re-evaluator, having travelled as bytes."""
        state = self._monitor.state()
        found = None if state is None else State.from_bytes(state.to_bytes())
        reference = self._monitor.reference_id
        return Told(address, self._version, reference, found, "", None, "", "")
