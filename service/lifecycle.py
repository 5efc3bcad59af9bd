"""Takes every unfinished evaluation of the ledger forward, one step at a time, in one thread.

Each step reads where things stand, changes one thing and writes that down; killed at any point, the
next look goes on from there or ends cleanly. Only the process that has the lease acts; another
stands by and takes over when the lease is free.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC

from model.store_pointer import Conflict
from model.version_folder import StoreError
from service.evaluation_record import Evaluation, State, Trigger
from service.lease import Lease
from service.ledger import LedgerError
from service.lifecycle_judging import ask, decide_on, gather_and_judge
from service.lifecycle_parts import Overtaken, Parts
from service.lifecycle_promoting import look_at_shadow, promote, withdraw
from service.lifecycle_watching import watch
from service.promotion import PromotionRefused

log = logging.getLogger("sonoba")

IDLE_SECONDS = 1.0  # between two looks at the ledger, and at a lease that another process has
SOON_SECONDS = 0.2  # after somebody else was quicker
RETRY_SECONDS = 5.0  # after a fault
SWEEP_SECONDS = 10.0
SCHEDULE_SECONDS = 60.0
PRUNE_SECONDS = 3600.0
STOP_SECONDS = 5.0

STEPS: dict[State, Callable[[Parts, Evaluation], float]] = {
    State.ASKED: ask,
    State.GATHERING: gather_and_judge,
    State.JUDGED: decide_on,
    State.SHADOWING: look_at_shadow,
    State.PROMOTING: promote,
    State.WATCHING: watch,
}


class Lifecycle:
    """The one thread that acts."""

    def __init__(self, parts: Parts, lease: Lease, every_seconds: float) -> None:
        """Take what to work with, who may act, and when a model is judged unasked; 0: never."""
        self._parts, self._lease, self._every = parts, lease, every_seconds
        self._began = parts.monotonic()
        self._due: dict[str, float] = {}  # by evaluation, on the monotonic clock
        self._stuck: dict[str, str] = {}  # by evaluation, the fault that was told
        self._swept = self._scheduled = float("-inf")
        self._pruned = float("-inf")
        self._is_leading = False
        self._woken, self._is_stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sonoba-lifecycle", daemon=True)

    @property
    def is_leading(self) -> bool:
        """Whether this process acts."""
        return self._is_leading

    def start(self) -> None:
        """Begin to act, or to stand by."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the ledger at once."""
        self._woken.set()

    def stop(self) -> bool:
        """End after the step under way, if that is soon; return whether it ended.

        The lease is free then; else it is with the end of the process.
        """
        self._is_stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            return False
        self._lease.release()
        self._is_leading = False
        return True

    def tick(self) -> float:
        """Take every evaluation that is due one step forward; return the seconds until the next."""
        if not self._leads():
            return IDLE_SECONDS
        now = self._parts.monotonic()
        if now - self._scheduled >= min(SCHEDULE_SECONDS, self._every / 10.0 or SCHEDULE_SECONDS):
            self._scheduled = now
            self._schedule()
        unfinished = self._parts.ledger.unfinished()
        if now - self._swept >= SWEEP_SECONDS:
            self._swept = now
            self._sweep(unfinished)
        if now - self._pruned >= PRUNE_SECONDS:
            self._pruned = now
            self._parts.records.prune()
        waits = [self._advance(one) for one in unfinished]
        for left in set(self._due) - {one.id for one in unfinished}:
            self._forget(left)
        return min([IDLE_SECONDS, *waits])

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                seconds = self.tick()
            except LedgerError as error:
                log.warning("the ledger cannot be read: %s", error)
                seconds = RETRY_SECONDS
            except Exception:
                log.exception("bug in the re-evaluator's thread")
                seconds = RETRY_SECONDS
            self._woken.wait(seconds)
            self._woken.clear()

    def _leads(self) -> bool:
        """Return whether this process acts, now or from now on."""
        was_leading, self._is_leading = self._is_leading, False
        self._is_leading = self._lease.take()
        if self._is_leading and not was_leading:
            log.info("this re-evaluator acts from now on")
            self._catch_up()
        elif was_leading and not self._is_leading:
            log.warning("this re-evaluator stands by from now on: another has the lease")
        return self._is_leading

    def _advance(self, evaluation: Evaluation) -> float:
        """Take one step if it is due; return the seconds until the next."""
        now = self._parts.monotonic()
        if (left := self._due.get(evaluation.id, now) - now) > 0.0:
            return left
        with self._parts.acting:
            seconds = self._stepped(evaluation)
        self._due[evaluation.id] = self._parts.monotonic() + seconds
        return seconds

    def _stepped(self, evaluation: Evaluation) -> float:
        try:
            seconds = STEPS[evaluation.state](self._parts, evaluation)
        except (Overtaken, Conflict):
            return SOON_SECONDS
        except LedgerError as error:
            return self._stand_still(evaluation, str(error))
        except (StoreError, PromotionRefused) as error:
            return self._fault(evaluation, str(error))
        except Exception as error:
            log.exception("bug in evaluation %s, %s", evaluation.id, evaluation.state)
            return self._fault(evaluation, f"internal error: {type(error).__name__}")
        self._stuck.pop(evaluation.id, None)
        return seconds

    def _fault(self, evaluation: Evaluation, sentence: str) -> float:
        """End an evaluation that cannot go on; what was promoted is watched on all the same."""
        limit = self._parts.rules_of(evaluation).watch_seconds_max
        if evaluation.state is State.WATCHING and evaluation.in_state_seconds < limit:
            return self._stand_still(evaluation, sentence)
        withdraw(self._parts, evaluation)
        try:
            self._parts.move(evaluation, State.FAILED, fault=sentence)
        except Overtaken:
            return SOON_SECONDS
        except LedgerError as error:
            return self._stand_still(evaluation, f"{sentence}; {error}")
        log.warning("evaluation %s of %s failed: %s", evaluation.id, evaluation.model, sentence)
        self._parts.tally.failed(evaluation.model, evaluation.verdict)
        return 0.0

    def _stand_still(self, evaluation: Evaluation, sentence: str) -> float:
        """Try again later; tell once of a fault, and count an evaluation that has one once."""
        if evaluation.id not in self._stuck:
            self._parts.tally.failed(evaluation.model, evaluation.verdict)
        if self._stuck.get(evaluation.id) != sentence:
            log.warning("evaluation %s stands still: %s", evaluation.id, sentence)
        self._stuck[evaluation.id] = sentence
        return RETRY_SECONDS

    def _forget(self, evaluation_id: str) -> None:
        for kept in (self._due, self._stuck, self._parts.calm):
            kept.pop(evaluation_id, None)

    def _catch_up(self) -> None:
        """Tell where evaluations stand that a process moved and did not live to tell of."""
        ledger, records = self._parts.ledger, self._parts.records
        for name in self._parts.in_force.names():
            for last in ledger.list(name, 1).evaluations:
                if records.is_behind(last):
                    records.tell(last)

    def _sweep(self, unfinished: list[Evaluation]) -> None:
        """Withdraw candidates that no evaluation is about any more."""
        parts = self._parts
        about = {(one.model, one.candidate_version) for one in unfinished}
        for name in parts.store.names_in_force():
            with parts.acting:
                try:
                    pointer = parts.store.current(name)
                    if pointer.candidate and (name, pointer.candidate) not in about:
                        parts.store.nominate(name, "", pointer.etag)
                        detail = {"candidate": pointer.candidate}
                        parts.ledger.record("reevaluator", "candidate.withdrawn", name, detail)
                        log.info("%s: withdrew the candidate %s", name, pointer.candidate)
                except StoreError as error:
                    log.warning("%s: a candidate is still nominated: %s", name, error)

    def _schedule(self) -> None:
        """Ask for an evaluation of every model that had none for too long."""
        if self._every <= 0.0:
            return
        for name in self._parts.in_force.names():
            try:
                is_due = self._is_judged(name) and self._idle_seconds(name) >= self._every
            except StoreError as error:
                log.warning("%s: no scheduled evaluation: %s", name, error)
                continue
            if is_due:
                reason = f"no evaluation for {self._every:g} s"
                self._parts.ledger.ask(name, Trigger.SCHEDULE, "", "schedule", reason)

    def _is_judged(self, name: str) -> bool:
        """Return whether the version in force brings the reference that a verdict needs."""
        in_force = self._parts.in_force
        return bool(in_force.load(name, in_force.version(name)).artifact.reference)

    def _idle_seconds(self, name: str) -> float:
        """Return the time since a model was last asked about; before that, since it was made."""
        last = self._parts.ledger.list(name, 1).evaluations
        if last:
            return last[0].age_seconds
        created = self._parts.in_force.created(name)
        if created is None:
            return self._parts.monotonic() - self._began
        return max(
            0.0, self._parts.now() - created.replace(tzinfo=created.tzinfo or UTC).timestamp()
        )
