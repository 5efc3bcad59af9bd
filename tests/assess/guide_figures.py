"""The sentences of both guides that hold a measured figure, made of the two assessments."""

import math

from model.history import QUERIES
from service.assess.against import GROUPS_MIN
from service.assess.cautions import HELD_OUT_MIN
from service.assess.evidence import Evidence, ratio_of
from service.held_out import BOOSTING, HELD_OUT_SHARE, LENGTHS, MEAN
from service.history_columns import MOST_FEATURES
from service.history_reader import SHORTEST_GROUP


def sentences(first, second):
    """Yield (English, Japanese): each must stand in its guide as it is."""
    yield from of_first(first)
    yield from of_second(second)
    yield from of_columns(first, second)
    yield from of_conditions(second)
    yield from of_limits(second)
    yield from of_sizes()


def evidence(made):
    return Evidence(made.offer, made.stability, made.conditions)


def of_first(made):
    cell = evidence(made).accuracy
    ours, boosting = (
        next(one.error for one in cell.methods if one.method == name)
        for name in (cell.methods[0].method, BOOSTING)
    )
    M = cell.example_count
    yield f"Its error is {ours:.2f} with {M} examples", f"誤差は事例 {M} 件で {ours:.2f} でした"
    yield f"has an error of {boosting:.2f}.", f"の誤差は {boosting:.2f} です"


def of_second(made):
    gap = 1.0 - evidence(made).ratio(MEAN).value
    yield (
        f"The error is {gap:.0%} smaller than that of an average",
        f"誤差は単純な平均より {gap:.0%} 小さく",
    )
    first, *longer = sorted(made.stability.accuracy, key=lambda cell: cell.example_count)
    even = ratio_of(first, BOOSTING)
    assert even.low < 1.0 and all(ratio_of(cell, BOOSTING).low > 1.0 for cell in longer)
    few, low, high = map(percent, (even.value, even.low, even.high))
    yield (
        f"With {first.example_count} examples nobody can say who is better: sonoba's error is "
        f"{few} larger, give or take chance ({low[:-1]} to {high}).",
        f"事例が {first.example_count} 件なら、どちらが優れているとはいえません（sonoba の誤差は "
        f"{few} 増、偶然の幅は {low[:-1]}〜{high}）。",
    )
    worse = sorted(ratio_of(cell, BOOSTING).value for cell in longer)
    M, low, high = longer[0].example_count, percent(worse[0])[:-1], percent(worse[-1])
    yield (
        f"With {M} and more it is surely larger, by {low} to {high}",
        f"{M} 件以上では、sonoba の誤差が {low}〜{high} 大きく",
    )


def percent(ratio):
    """Return by how much an error is larger than another."""
    return f"{ratio - 1.0:.0%}".replace("-", "−")


def of_columns(first, second):
    now, before = second.offer.knee, first.offer.knee
    yield (
        f"here at {now} examples, before at {before}.",
        f"ここでは {now} 件、列を足す前は {before} 件でした",
    )
    learnt, held_out = second.offer.learnt_groups, second.offer.held_out_groups
    yield (
        f"it learnt from {learnt} weeks and was tested on {held_out}.",
        f"{learnt} 週から学習し、残る {held_out} 週で試しました",
    )


def of_conditions(made):
    changes = made.conditions.changes
    borne = sum(one.is_tolerated for one in changes)
    yield (
        f"Here {borne} of {len(changes)} changes do no harm.",
        f"{len(changes)} 通りのうち {borne} 通りは問題ありませんでした",
    )
    (gone,) = (
        one
        for one in changes
        if (one.code, one.columns, one.strength) == ("missing", ("h_cos",), 1.0)
    )
    ratio, prompts = f"{gone.ratio.value:.2f}", gone.prompts_to_alert
    yield (
        f"the error is {ratio} times as large, and an alert comes after {prompts} prompts.",
        f"誤差は {ratio} 倍になり、{prompts} 件のプロンプトの後に警報が出ます",
    )


def of_limits(made):
    limits = made.decision.limits
    low, high = (round(100 * math.exp(sign * limits.error)) for sign in (-1, 1))
    yield (
        f"| typical error | {limits.error:.3f} | where 100 bikes are predicted, {low} to {high} is",
        f"| 典型的な誤差 | {limits.error:.3f} | 予測が 100 台のとき、実際に {low}〜{high} 台なら",
    )
    covered, risen, M = limits.coverage, limits.error_ratio_max, limits.example_count_min
    yield (
        f"| truths within the 80% intervals, at least | {covered:.0%} |",
        f"| 80% 区間に実際の値が入る割合（下限） | {covered:.0%} |",
    )
    yield (
        f"| squared error over normal, at most | {risen:g} |",
        f"| 通常に対する誤差の 2 乗の比（上限） | {risen:g} |",
    )
    yield (
        f"| examples in a prompt, at least | {M} |",
        f"| プロンプトの事例数（下限） | {M} |",
    )


def of_sizes():
    wanted = round(HELD_OUT_MIN / HELD_OUT_SHARE)
    yield (
        f"{GROUPS_MIN} are the least. With fewer than {wanted} the report",
        f"最低 {GROUPS_MIN} 個です。{wanted} 個に満たないと",
    )
    rows = max(LENGTHS) + QUERIES
    yield (
        f"a group needs {SHORTEST_GROUP} at least. Some {rows} a group show",
        f"1 グループに最低 {SHORTEST_GROUP} 行です。{rows} 行ほどあれば",
    )
    yield (
        f"few and well understood, at most {MOST_FEATURES}.",
        f"上限は {MOST_FEATURES} です",
    )
