"""The demo's profile, learnt once however many files and processes of a test run ask for it."""

import fcntl
import pickle
from dataclasses import replace
from datetime import UTC, datetime

from service.demo_profile import NAME, write_history
from service.history_reader import Roles
from service.pretrain_run import Plan, keep, learn, read
from service.replay import GROUP, LABEL, read_hours


def profile_store(run_folder, folder, names=(NAME,)):
    """Return a store with one profile of the earliest weeks under each of some names."""
    plan, found, learnt = _learnt(run_folder)
    for name in names:
        keep(replace(plan, name=name), found, learnt, folder / "store", 0.0, datetime.now(UTC))
    return folder / "store"


def _learnt(run_folder):
    """Return what was asked, read and learnt; whoever comes first learns, and the others wait."""
    kept = run_folder / "bikes.pickle"
    with (run_folder / "bikes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, or its process has died
        if not kept.exists():
            history = run_folder / "history.csv"
            write_history(history, read_hours().first_replayed())
            plan = Plan(NAME, history, False, Roles(group=GROUP, target=LABEL))
            found = read(plan)
            whole = pickle.dumps((plan, found, learn(plan, found, lambda *_: None)))
            kept.with_suffix(".new").write_bytes(whole)
            kept.with_suffix(".new").rename(kept)
    return pickle.loads(kept.read_bytes())
