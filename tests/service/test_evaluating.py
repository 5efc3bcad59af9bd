"""One evaluation end to end: monitor, sums, kept prompts, verdict, candidate, findings."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from bench.drift_subjects import BestLayer, Subject, first_prompts, settings, subjects
from bench.verdict_cases import BAD_ROWS, run, watched
from bench.verdict_right import is_forbidden, is_right
from model.checkpoint import FOUNDATION_FILE, load, load_stored
from model.manifest import Origin
from model.prompt import Block, Examples
from model.store import Store
from monitoring.limits import Limits
from monitoring.monitor import Monitor
from service.candidates import Parent, foundation
from service.demo_profile import NAME
from service.evaluating import Kept, NotComparable, Sources, evaluate
from service.findings import Findings
from service.monitors import reference_of
from service.replay import draw, read_hours
from service.repretrained import repretrained
from service.seen import seen, singles
from tests.e2e.bikes import profile_store

pytestmark = pytest.mark.slow  # seconds, all together

LENGTH, COUNT = 32, 300
LIMITS, SOURCES = Limits(), Sources(120.0, ("127.0.0.1:1", "127.0.0.1:2"), ("127.0.0.1:3",))
CREATED = datetime(2026, 5, 4, tzinfo=UTC)
FALLBACK = load(FOUNDATION_FILE).model


@pytest.fixture(scope="module")
def hours():
    return read_hours()


@pytest.fixture(scope="module")
def store(tmp_path_factory, run_folder):
    return Store(profile_store(run_folder, tmp_path_factory.mktemp("bikes")))


@pytest.fixture(scope="module")
def served(store):
    return load_stored(store.folder, NAME, fallback=FALLBACK)


@pytest.fixture(scope="module")
def manifest(store):
    return store.load(NAME).manifest


@pytest.fixture(scope="module")
def shifts(served):
    normal = reference_of(served).normal
    mean, sd = normal.mean, normal.deviation
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(len(mean), len(mean))))[0]
    mirrored = np.ones(len(mean))
    mirrored[5] = -1.0  # the sine of the hour: its own law stays
    return {
        "none": lambda x: x,
        "scale": lambda x: mean + 2.0 * (x - mean),
        "rotation": lambda x: mean + ((x - mean) / sd @ turn) * sd,
        "mirrored": lambda x: x * mirrored,
    }


def asked(hours, change, seed=3, count=COUNT, lengths=(LENGTH,)):
    """Return blocks of late weeks, one a length."""
    late = hours.replayed()
    drawn = [draw(late, length, count // len(lengths), seed) for length in lengths]
    return [Block(Examples(change(p.x), p.y), change(p.queries)) for p in drawn]


def monitored(artifact, blocks):
    """Return a monitor that has seen blocks, a hundred prompts at a time."""
    monitor = Monitor(artifact.name, artifact.version, "profile", reference_of(artifact))
    for block in blocks:
        x, y = block.context
        for start in range(0, len(y), 100):
            part = slice(start, start + 100)
            one = Block(Examples(x[part], y[part]), block.queries[part])
            monitor.observe(seen(artifact.model, one))
    return monitor


def judged(served, manifest, blocks, kept=None, **options):
    state = monitored(served, blocks).state()
    options = {"manifest": manifest, "evaluation": "e-1", "created": CREATED} | options
    return evaluate(served, state, kept, LIMITS, SOURCES, **options)


def kept_of(blocks):
    prompts = [one for block in blocks for one in singles(block)]
    return Kept(prompts, np.arange(len(prompts)) % 5)


@pytest.mark.parametrize("shift", ["scale", "rotation", "mirrored"])
def test_real_weeks_that_moved_are_recalibrated_from_sums(
    served, manifest, store, hours, shifts, shift
):
    change = shifts[shift]
    found, candidate = judged(served, manifest, asked(hours, change, lengths=(16, LENGTH)))

    assert (found.verdict, found.reason) == ("RECALIBRATE", "COVARIATE")
    assert found.regret > 2.0
    assert candidate.kind == "recalibrated"
    version = store.add(candidate.draft, candidate.arrays)
    made = load_stored(store.folder, NAME, version, fallback=FALLBACK)
    late = draw(hours.replayed(), LENGTH, 400, 9)
    usual, harmed, repaired = (
        float(np.mean((model.answer(block).predictions - late.truth) ** 2))
        for model, block in (
            (served.model, Block(Examples(late.x, late.y), late.queries)),
            (served.model, Block(Examples(change(late.x), late.y), change(late.queries))),
            (made.model, Block(Examples(change(late.x), late.y), change(late.queries))),
        )
    )
    assert harmed > 2.0 * usual
    assert repaired <= 1.25 * usual


@pytest.mark.parametrize("shift", ["scale", "rotation", "mirrored"])
def test_live_prompts_read_normal_on_the_recalibrated_versions_own_reference(
    served, manifest, store, hours, shifts, shift
):
    change = shifts[shift]
    candidate = judged(served, manifest, asked(hours, change)).candidate
    version = store.add(candidate.draft, candidate.arrays)
    made = load_stored(store.folder, NAME, version, fallback=FALLBACK)
    known, own = reference_of(served), reference_of(made)

    told = monitored(made, asked(hours, change, seed=8)).diagnosed()

    assert own.id not in ("", known.id)
    assert made.schema == served.schema
    assert candidate.draft.reference.monitoring == own.id
    assert np.array_equal(own.baselines.loo, known.baselines.loo)
    assert told.levels["h"].mean == pytest.approx(1.0, abs=0.25)
    assert told.levels["loo"].mean == pytest.approx(1.0, abs=0.25)
    assert told.gate < 1.25
    assert told.info_score < 1.0
    assert told.signature == "QUIET"


def test_quiet_weeks_are_kept(served, manifest, hours, shifts):
    blocks = asked(hours, shifts["none"])
    for kept in (None, kept_of(blocks)):
        found, candidate = judged(served, manifest, blocks, kept)

        assert (found.verdict, found.reason, candidate) == ("KEEP", "NONE", None)


def test_findings_tell_what_was_seen(served, manifest, hours, shifts):
    found, _ = judged(served, manifest, asked(hours, shifts["mirrored"]))

    assert (found.model, found.model_version, found.kind) == (NAME, served.version, "profile")
    assert found.reference == reference_of(served).id
    assert found.window.replicas == SOURCES.replicas
    assert found.window.missing_replicas == SOURCES.missing_replicas
    assert (found.window.prompt_count, found.window.row_count) == (COUNT, COUNT * LENGTH)
    assert found.levels["loo"].lower > 2.0
    assert (found.signature, found.shift_kind) == ("RELATION", "task")
    assert found.features[0].name == "h_sin"
    assert found.features[0].share > 0.5
    assert [one.name for one in found.candidates] == ["served", "recalibrated"]
    assert all(one.evidence == "sums" and one.gain is None for one in found.candidates)
    assert "`h_sin`" in found.sentence.en
    assert "「h_sin」" in found.sentence.ja
    assert Findings.model_validate_json(found.model_dump_json()) == found


def test_a_candidate_says_where_it_comes_from(served, manifest, hours, shifts):
    candidate = judged(served, manifest, asked(hours, shifts["scale"])).candidate

    origin = candidate.draft.origin
    assert (origin.parent, origin.evaluation) == (served.version, "e-1")
    assert (origin.prompt_count, origin.row_count) == (COUNT, COUNT * LENGTH)
    assert candidate.draft.created == CREATED
    assert "recalibrated on sums of 300 prompts" in candidate.draft.metrics.sentence
    assert candidate.draft.feature_schema.hash == manifest.feature_schema.hash


def test_kept_prompts_are_answered_by_all_and_compared_in_pairs(served, manifest, hours, shifts):
    blocks = asked(hours, shifts["rotation"])
    found, candidate = judged(served, manifest, blocks, kept_of(blocks))
    told = {one.name: one for one in found.candidates}

    assert found.verdict == "RECALIBRATE"
    assert candidate.kind == "recalibrated"
    assert list(told) == ["served", "recalibrated", "repretrained", "foundation", "ridge"]
    assert all(one.evidence == "reservoir" for one in told.values())
    assert {one.prompt_count for one in told.values()} == {COUNT // 2}
    assert found.window.kept_prompt_count == COUNT
    for name in ("recalibrated", "repretrained", "foundation"):
        assert told[name].gain.lower > 0.5
        assert told[name].gain.lower < told[name].gain.mean < told[name].gain.upper
    assert abs(told["ridge"].gain.mean) < 0.05  # the served layers are as good as exact
    assert told["recalibrated"].error.mean < 0.3 * told["served"].error.mean
    assert "95 % confidence" in found.advice.en


def test_leave_one_out_in_pairs_agrees_with_refits(served, manifest, hours, shifts):
    """Served and foundation, refitted without each example; the judged half of the prompts."""
    blocks = asked(hours, shifts["none"], count=280)
    found, _ = judged(served, manifest, blocks, kept_of(blocks))
    told = {one.name: one.error.mean for one in found.candidates}
    reference = reference_of(served)
    normal = served.model.parameters.bucket(LENGTH).units.label_scale ** 2
    normal *= reference.baselines.normal("loo", np.array([float(LENGTH)]))[0]
    x, y = (part[140:] for part in blocks[0].context)

    for name, model in (("served", served.model), ("foundation", FALLBACK)):
        errors = np.zeros(len(y))
        for row in range(LENGTH):
            rest = np.delete(np.arange(LENGTH), row)
            block = Block(Examples(x[:, rest], y[:, rest]), x[:, [row]])
            errors += (model.answer(block).predictions[:, 0] - y[:, row]) ** 2 / LENGTH
        assert told[name] == pytest.approx(np.mean(errors / normal), rel=0.06)


def test_few_kept_prompts_are_not_asked(served, manifest, hours, shifts):
    blocks = asked(hours, shifts["scale"])
    few = Kept(kept_of(blocks).blocks[:100], np.zeros(100, np.int64))

    found, _ = judged(served, manifest, blocks, few)

    assert found.window.kept_prompt_count == 0
    assert {one.evidence for one in found.candidates} == {"sums"}


def test_the_same_evaluation_gives_the_same_version(served, manifest, store, hours, shifts):
    made = [judged(served, manifest, asked(hours, shifts["scale"])).candidate for _ in range(2)]

    assert store.add(made[0].draft, made[0].arrays) == store.add(made[1].draft, made[1].arrays)


def test_a_window_that_is_too_small_says_so(served, manifest, hours, shifts):
    found, candidate = judged(served, manifest, asked(hours, shifts["scale"], count=200))

    assert (found.verdict, found.reason, candidate) == ("INSUFFICIENT", "FEW_PROMPTS", None)
    assert "200 prompts" in found.sentence.en
    assert "256" in found.sentence.en


def test_a_lower_limit_judges_fewer(served, manifest, hours, shifts):
    state = monitored(served, asked(hours, shifts["scale"], count=100)).state()

    found = evaluate(served, state, None, Limits(prompts_min=80), SOURCES, manifest=manifest)

    assert found.findings.verdict == "RECALIBRATE"
    assert found.candidate is not None


def test_sums_of_another_reference_or_of_nobodys_are_refused(served, manifest, hours, shifts):
    state = monitored(served, asked(hours, shifts["none"])).state()
    other = replace(state, reference="01234567")
    wide = replace(state, feature_count=4)
    bare = replace(served, reference={})

    for artifact, sums, sentence in (
        (served, other, "expected sums over the reference [0-9a-f]{8}, got 01234567"),
        (served, wide, "expected sums of 9 features, got 4"),
        (bare, state, "brings no reference"),
    ):
        with pytest.raises(NotComparable, match=sentence):
            evaluate(artifact, sums, None, LIMITS, SOURCES, manifest=manifest)


def test_a_stand_in_for_a_profile_has_its_columns_and_no_reference(served, manifest, store):
    origin = Origin(parent=served.version, evaluation="e-2", prompt_count=300, row_count=9600)
    parent = Parent(served, manifest, reference_of(served), origin, CREATED)

    made = foundation(parent)

    version = store.add(made.draft, made.arrays)
    stored = load_stored(store.folder, NAME, version, fallback=FALLBACK)
    assert (made.kind, made.draft.kind) == ("foundation", "foundation")
    assert stored.schema == served.schema
    assert stored.feature_count == served.feature_count
    assert reference_of(stored) is None
    assert store.load(NAME, version).manifest.feature_schema == manifest.feature_schema
    assert foundation(parent._replace(artifact=stored)) is None  # it stands in already


def test_a_profile_pretrained_again_brings_its_own_reference(
    served, manifest, store, hours, shifts
):
    origin = Origin(parent=served.version, evaluation="e-3", prompt_count=300, row_count=9600)
    parent = Parent(served, manifest, reference_of(served), origin, CREATED)
    blocks = kept_of(asked(hours, shifts["rotation"])).blocks

    made = repretrained(parent, blocks, seed=0)

    version = store.add(made.draft, made.arrays)
    stored = load_stored(store.folder, NAME, version, fallback=FALLBACK)
    assert stored.schema == served.schema
    assert reference_of(stored).id not in ("", reference_of(served).id)
    assert made.draft.training.group_count == COUNT
    assert [bucket.length for bucket in stored.model.parameters.buckets] == [8, 16]
    assert repretrained(parent._replace(manifest=None), blocks, seed=0) is None


@cache
def subject(world, kind):
    """Return a setting of one length and a model in it with the reference of its first prompts."""
    (setting,) = (one for one in settings() if one.name == f"{world}, M = 50")
    if kind == "profile":
        (found,) = (one for one in subjects(setting, 0, 100) if one.kind == kind)
        return setting, found
    model = BestLayer(setting.world) if kind == "paper" else FALLBACK
    reference = first_prompts(kind, model, setting, np.random.default_rng([0, 1]))
    return setting, watched(setting, Subject(kind, model, reference, {}))


@cache
def case_of(world, shift, kind="paper", has_kept=False, seed=0):
    """Return one evaluation; some are asked for by several tests."""
    return run(*subject(world, kind), shift, has_kept, seed)


KINDS = {
    "iid5": ("quiet", "task_new", "task_2", "one_mean_0.25", "mean_0.5", "scale_0.5", "query_2"),
    "iid20": ("rotation", "correlation", "noise_4", "scale_2", "short", BAD_ROWS, "mean_0.25"),
    "het5": ("quiet", "scale_1.1", "scale_1.5", "rotation", "noise_4"),
}


@pytest.mark.parametrize("evidence", ["sums", "kept"])
@pytest.mark.parametrize(
    ("world", "shift"), [(world, shift) for world, told in KINDS.items() for shift in told]
)
def test_every_kind_of_shift_has_its_verdict(world, shift, evidence):
    has_kept = evidence == "kept"
    cases = [case_of(world, shift, has_kept=has_kept, seed=seed) for seed in (0, 1)]

    assert all(is_right(case.findings, "paper", shift) for case in cases), cases


@pytest.mark.parametrize("kind", ["foundation", "profile"])
@pytest.mark.parametrize("shift", ["quiet", "scale_1.5", "rotation", "noise_4", "t3"])
def test_models_that_feel_no_covariates_are_kept(kind, shift):
    case = case_of("iid5", shift, kind)

    assert is_right(case.findings, kind, shift), case


@pytest.mark.parametrize("world", ["iid5", "iid20"])
@pytest.mark.parametrize("shift", ["scale_1.1", "scale_1.5", "t3"])
def test_the_wrong_verdicts_of_a_simpler_procedure_do_not_come_back(world, shift):
    """Never fall back at x1.1, never re-pretrain at x1.5, never noise at t3; ten windows each."""
    cases = [case_of(world, shift, seed=seed) for seed in range(10)]
    cases += [case_of("iid5", shift, has_kept=True, seed=seed) for seed in range(10)]

    assert not any(is_forbidden(case.findings, "paper", shift) for case in cases)
    assert all(is_right(case.findings, "paper", shift) for case in cases)


def test_nothing_that_a_layer_can_be_made_of_helps_heavy_tails():
    case = case_of("iid5", "t3")

    assert case.findings.reason == "HEAVY_TAILS"
    assert case.candidate.kind == "foundation"
    assert case.candidate.draft.kind == "foundation"
    assert case.candidate.reference is None
    assert case.candidate.draft.feature_count == 5


def test_a_recalibrated_layer_is_stored_and_read_again(tmp_path):
    case = case_of("iid5", "rotation")
    version = Store(tmp_path).add(case.candidate.draft, case.candidate.arrays)
    made = load_stored(tmp_path, "paper", version)
    block = Block(
        Examples(np.ones((1, 8, 5)) * np.arange(8)[:, None], np.ones((1, 8))), np.ones((1, 1, 5))
    )

    assert reference_of(made).id == case.candidate.reference.id
    assert np.array_equal(
        made.model.answer(block).predictions, case.candidate.model.answer(block).predictions
    )
