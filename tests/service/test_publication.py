"""What is written to ConfigMaps: after every single write, what readers find named is whole."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from model.store_pointer import Pointer
from service.flat_store import FlatVersion, key_of
from service.publication import Wanted, plan, pointers_of
from service.slots import SLOT_BYTES

pytestmark = pytest.mark.slow  # seconds, all together

SLOT_COUNT = 3


def version(number):
    return f"{number:012x}"


def files_of(model, number, size=1000):
    paths = {"manifest.json": b"%d" % number, "weights.npz": b"w" * (size - 12)}
    place = f"{model}/versions/{version(number)}"
    return {key_of(f"{place}/{file}"): content.ljust(12) for file, content in paths.items()}


@dataclass
class Folder:
    """What a folder has: pointers by model, and the size of each version."""

    pointers: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)

    def wanted(self):
        named = {(m, v) for m, one in self.pointers.items() for v in one.versions}
        versions = {
            FlatVersion(m, v): files_of(m, int(v, 16), self.sizes.get((m, v), 1000))
            for m, v in sorted(named)
        }
        return Wanted(dict(self.pointers), versions)


@dataclass
class Cluster:
    index: dict = field(default_factory=dict)
    slots: list = field(default_factory=lambda: [{} for _ in range(SLOT_COUNT)])

    def carry_out(self, write):
        if write.place:
            self.slots[write.place - 1] = dict(write.files)
        else:
            self.index = dict(write.files)

    def files(self):
        """Return what readers find: of two slots with one file, the last one's."""
        return {key: content for slot in self.slots for key, content in slot.items()}

    def in_force(self):
        return {model: one.version for model, one in pointers_of(self.index).items()}


def publish(folder, cluster, steps=None):
    """Publish until nothing is left to write, or for some writes only; return the last faults."""
    for _ in range(10):
        found = plan(folder.wanted(), cluster.index, cluster.slots)
        for write in found.writes:
            if steps is not None and (steps := steps - 1) < 0:
                return found.faults
            before = cluster.in_force()
            cluster.carry_out(write)
            is_whole(folder, cluster, before)
        if not found.writes:
            return found.faults
    raise AssertionError("it goes on writing")


def is_whole(folder, cluster, before):
    """Check every slot's size, and that readers find each version in force, whole."""
    assert all(sum(map(len, slot.values())) <= SLOT_BYTES for slot in cluster.slots)
    assert cluster.in_force().keys() >= before.keys()
    for model, one in cluster.in_force().items():
        wanted = files_of(model, int(one, 16), folder.sizes.get((model, one), 1000))
        assert wanted.items() <= cluster.files().items(), (model, one)


def pointer(current, previous=None, candidate=None, serial=1):
    names = {"previous": previous, "candidate": candidate}
    named = {role: version(one) for role, one in names.items() if one is not None}
    return Pointer(version=version(current), serial=serial, **named)


def test_slots_are_filled_before_the_index_names_them_and_then_nothing_is_left_to_write():
    folder, cluster = Folder({"bikes": pointer(2, 1, 3)}), Cluster()
    found = plan(folder.wanted(), cluster.index, cluster.slots)
    faults = publish(folder, cluster)

    assert [write.place for write in found.writes] == [1, 2, 3, 0]
    assert pointers_of(cluster.index) == folder.pointers
    assert faults == plan(folder.wanted(), cluster.index, cluster.slots).writes == []


@pytest.mark.parametrize("steps", range(6))
def test_a_writer_that_ends_anywhere_leaves_what_was_in_force_and_the_next_one_goes_on(steps):
    folder, cluster = Folder({"bikes": pointer(2, 1)}), Cluster()
    publish(folder, cluster)
    folder.pointers = {"bikes": pointer(4, 3, 5, serial=3), "cars": pointer(9)}
    publish(folder, cluster, steps)
    between = cluster.in_force()
    publish(folder, cluster)

    assert between == (
        {"bikes": version(2)} if steps < 5 else {"bikes": version(4), "cars": version(9)}
    )
    assert pointers_of(cluster.index) == folder.pointers


def big(*numbers, bytes=900_000):
    return {("bikes", version(number)): bytes for number in numbers}


def test_three_large_versions_fill_three_slots_and_a_fourth_takes_the_place_of_what_is_let_go():
    folder, cluster = Folder({"bikes": pointer(2, 1, 3)}, big(*range(1, 8))), Cluster()
    publish(folder, cluster)
    for one in (pointer(2, 1, 4), pointer(4, 2, 5), pointer(6, 5, 7)):
        folder.pointers["bikes"] = one
        assert publish(folder, cluster) == []
        assert pointers_of(cluster.index) == folder.pointers


def test_small_versions_of_many_models_share_slots():
    folder = Folder({f"model-{n}": pointer(3 * n + 2, 3 * n, 3 * n + 1) for n in range(20)})
    cluster = Cluster()
    folder.sizes = {(m, v): 45_000 for m, one in folder.pointers.items() for v in one.versions}

    assert publish(folder, cluster) == []
    assert pointers_of(cluster.index) == folder.pointers


def test_a_version_that_fits_no_slot_is_refused_and_what_fits_is_published():
    folder, cluster = Folder({"bikes": pointer(1)}), Cluster()
    publish(folder, cluster)
    folder.pointers = {"bikes": pointer(2, 1, serial=2), "cars": pointer(3, None, 4)}
    folder.sizes = {**big(2, bytes=1_000_001), ("cars", version(4)): 1_000_001}
    faults = [str(fault) for fault in publish(folder, cluster)]

    assert [one.version for one in pointers_of(cluster.index).values()] == [version(1), version(3)]
    assert [fault.partition(": ")[0] for fault in faults] == [
        f"bikes/{version(2)}",
        f"cars/{version(4)}",
    ]
    assert faults[0].endswith("got 1000001: add a slot, or keep the store at a URL")


def test_a_copy_that_would_hide_another_or_the_index_is_taken_out():
    folder, cluster = Folder({"bikes": pointer(2, 1)}), Cluster()
    publish(folder, cluster)
    weights = f"bikes.{version(2)}.weights.npz.gz"
    (home,) = [place for place, slot in enumerate(cluster.slots) if weights in slot]
    elsewhere = cluster.slots[(home + 1) % SLOT_COUNT]
    elsewhere |= {weights: b"torn", "bikes.current": b"{}", "note": b"!"}
    for write in plan(folder.wanted(), cluster.index, cluster.slots).writes:
        cluster.carry_out(write)
    held = [key for slot in cluster.slots for key in slot]

    assert held.count(weights) == 1
    assert "note" in held and "bikes.current" not in held


def test_what_only_the_cluster_knows_stays():
    folder, cluster = Folder({"cars": pointer(7)}), Cluster()
    publish(folder, cluster)
    for one in range(1, 9):
        publish(Folder({"bikes": pointer(one, one - 1, serial=one)}), cluster)

    assert cluster.in_force() == {"bikes": version(8), "cars": version(7)}
    assert files_of("cars", 7).items() <= cluster.files().items()


CHANGES = some.lists(
    some.tuples(
        some.sampled_from(["bikes", "cars"]), some.sampled_from(["promote", "nominate", "rollback"])
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(CHANGES, some.integers(0, 2**32), some.integers(1000, 480_000))
def test_whatever_changes_and_wherever_writers_end_nothing_in_force_is_torn(changes, seed, most):
    chance, folder, cluster = random.Random(seed), Folder(), Cluster()
    for made, (model, change) in enumerate(changes, 1):
        folder.sizes[model, version(made)] = chance.randint(100, most)
        old = folder.pointers.get(model)
        if old is None:
            new = pointer(made)
        elif change == "promote":
            new = old.promoted(version(made))
        elif change == "nominate" or not old.previous:
            new = old.nominated(version(made))
        else:
            new = old.rolled_back()
        folder.pointers[model] = new
        publish(folder, cluster, chance.randint(0, 4))
    faults = publish(folder, cluster)

    assert faults == []
    assert pointers_of(cluster.index) == folder.pointers
