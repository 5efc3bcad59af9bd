"""Real sets as files: a CSV of group, features, label; 60 % of the groups are history.

A `meta.json` beside the files, or in the folder above, may say `order: time` (rows of a group
follow time) and `groups_in_time` (so do groups: then the earliest are the history, else a fixed
random choice).
"""

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.history import Group, History

Meta = dict[str, dict[str, object]]

HISTORY_SHARE = 0.6
ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "service" / "demo_data" / "bikeshare.csv"
SETS = ROOT / "bench" / "sets"
OTHERS = ROOT.parent / "shared" / "bench" / "sets"
"""Sets that may not be passed on; whoever has them beside the project measures on them too."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """One set: its rows, and which of its groups may be learnt from."""

    name: str
    header: list[str]
    rows: NDArray[np.float64]  # (n, d+2)
    is_ordered: bool
    known: NDArray[np.float64]  # ids of the history's groups

    def write_history(self, path: Path) -> None:
        """Write the rows of the known groups, as a business would export them."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.header)
            writer.writerows(self.rows[np.isin(self.rows[:, 0], self.known)].tolist())

    def unseen(self) -> History:
        """Return the groups that are not history."""
        groups = []
        for group in np.setdiff1d(self.rows[:, 0], self.known):
            own = self.rows[self.rows[:, 0] == group]  # (n, d+2)
            groups.append(Group(f"{group:g}", own[:, 1:-1], own[:, -1]))
        return History(tuple(groups), self.is_ordered)


def read_sets(folder: Path | None) -> Iterator[DataSet]:
    """Yield the sets of a folder and its subfolders; without one, the shipped ones and OTHERS."""
    if folder is not None:
        yield from _read_folder(folder, ())
        return
    yield _read(SHIPPED, {"groups_in_time": True})
    yield from _read_folder(SETS, ())
    if OTHERS.is_dir():
        shipped = {SHIPPED.stem, *(path.stem for path in SETS.glob("*.csv"))}
        yield from _read_folder(OTHERS, shipped)


def _read_folder(folder: Path, known: Collection[str]) -> Iterator[DataSet]:
    meta = _meta(folder)
    for path in sorted(folder.rglob("*.csv")):
        if path.stem not in known:
            yield _read(path, meta.get(path.stem, {"groups_in_time": path == SHIPPED}))


def _meta(folder: Path) -> Meta:
    """Return what is said of the sets of a folder, in it or in the folder above."""
    for place in (folder, folder.resolve().parent):
        if (path := place / "meta.json").exists():
            found: Meta = json.loads(path.read_text())
            return found
    return {}


def _read(path: Path, said: dict[str, object]) -> DataSet:
    with path.open() as file:
        header = next(csv.reader(file))
    rows = np.loadtxt(path, delimiter=",", skiprows=1)  # (n, d+2)
    groups = np.unique(rows[:, 0])
    count = round(HISTORY_SHARE * len(groups))
    order = groups if said.get("groups_in_time") else np.random.default_rng(0).permutation(groups)
    return DataSet(path.stem, header, rows, said.get("order") == "time", order[:count])
