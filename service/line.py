"""The prompts of one version that wait for its monitor; a line begins and ends with its version."""

from dataclasses import dataclass
from typing import NamedTuple

from model.estimator import Estimating
from model.prompt import Block
from monitoring.monitor import Monitor
from monitoring.repeats import Repeats
from monitoring.sampling import Sampler, Taken
from service.candidate_shadow import Beside

INTERVAL_SECONDS = 0.5  # between two looks at what waits
CAPACITY_MIN = 128  # prompts of one look, whatever they cost: the next look waits for longer then
CAPACITY_FIRST = 256  # of the first look, before anything is known of costs
NUMBERS_MAX = 2**17  # of one look, 1 MiB: what waits fills the caches that answers are made in
KEEP_SECONDS = 5e-5  # what calls lose by each prompt of a look: as many again are kept and dropped


@dataclass(frozen=True, slots=True)
class Budget:
    """What monitoring may cost one process."""

    prompts_per_second: int = 2000
    processor_share: float = 0.03
    duplicate_seconds: float = 60.0  # a prompt that comes again within is left out; 0 keeps it


class Waiting(NamedTuple):
    """One prompt that waits, and its size."""

    block: Block
    number_count: int


class Line:
    """What one version answered and its monitor has not seen yet, and who answers beside it."""

    def __init__(self, model: Estimating, monitor: Monitor, budget: Budget) -> None:
        self.model, self.monitor = model, monitor
        self.beside: Beside | None = None  # set by whoever installs, read by whoever watches
        self.capacity = max(int(budget.prompts_per_second * INTERVAL_SECONDS), 1)
        self.sampler: Sampler[Waiting] = Sampler(min(self.capacity, CAPACITY_FIRST))
        seconds = budget.duplicate_seconds
        self.repeats = Repeats(seconds) if seconds > 0.0 else None
        self.prompt_seconds = 0.0  # what one prompt costs of a processor
        self._number_count = 1  # of the last prompt
        self._first_numbers = 0  # that wait for the first look

    def has_room(self, number_count: int) -> bool:
        """Return whether a prompt of so many numbers may wait: the first look knows no cost."""
        if self.prompt_seconds:
            return True
        self._number_count = number_count
        self._first_numbers += number_count  # a bound, not a sum: a lost race loosens it by one
        return self._first_numbers <= max(NUMBERS_MAX, number_count)

    def take(self, allowance_seconds: float) -> Taken[Waiting]:
        """Return what waits; the next sample is as large as the allowance pays for."""
        paid = max(allowance_seconds / (self.prompt_seconds + KEEP_SECONDS), CAPACITY_MIN)
        fits = max(NUMBERS_MAX // self._number_count, 1)
        taken = self.sampler.take(int(min(paid, fits, self.capacity)))
        if taken.prompts:
            self._number_count = max(taken.prompts[-1].number_count, 1)
        return taken

    def close(self) -> None:
        """Forget what waits, and keep nothing that calls still under way bring.

        The version is no longer in force, so nobody looks here again; another version's monitor
        would take its answers for its own.
        """
        taken = self.sampler.take(0)
        if lost := len(taken.prompts) + taken.left_out_count:
            self.monitor.skip("over_budget", lost)
