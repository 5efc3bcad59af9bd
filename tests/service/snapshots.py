"""Snapshots of quiet and of harmed models, and a clock that is set by hand."""

from dataclasses import replace

from monitoring.snapshot import FeatureMove, Level, Snapshot

NOON = 1_790_000_000.0  # Unix seconds
WARMING = Snapshot("weather", "v1", "0a1b2c3d", is_warming=True, prompt_count=40, row_count=800)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


def levels(h, loo=0.9):
    return {
        "h": Level(gate=h, clipped_mean=1.02 * h, mean=1.1 * h, prompt_count=100),
        "loo": Level(gate=loo, clipped_mean=1.02 * loo, mean=1.05 * loo, prompt_count=100),
    }


def measured(gate, **changes):
    warm = {"is_warming": False, "prompt_count": 2480, "row_count": 50_000}
    ratios = {"loo_ratio": 0.97, "ridge_ratio": 0.99, "info_score": 0.6, "length_effect": 1.0}
    known = {"clipped_share": 0.0, "levels": levels(gate)}
    return replace(WARMING, **(warm | ratios | known | changes))


def harmed(gate=3.4):
    moves = [
        FeatureMove(1, 2.3, 71.2, 11.5, 50.1, 9.8, 0.64),
        FeatureMove(0, -0.4, 18.6, 5.2, 20.3, 4.9, 0.27),
        FeatureMove(2, 0.1, 3.1, 0.7, 3.0, 0.7, 0.09),
    ]
    return measured(
        gate,
        levels=levels(gate, 0.8 * gate),
        loo_ratio=0.86 * gate,
        ridge_ratio=1.04,
        info_score=2.8,
        features=tuple(moves),
        direction_shares=(0.05, 0.7, 0.25),
        kind="correlation",
        skipped={"queue_full": 0, "few_examples": 12, "duplicate": 3},
    )
