"""Every row of the table in docs/monitoring.md, with the ratios that were measured."""

import pytest

from monitoring.signature import Ratios, Signature, signature

ROWS = [
    (Ratios(1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0, False, 1.0), Signature.QUIET),
    (Ratios(6.4, 6.3, 1.0, 1.0, 1.0, 0.02, 9, False, 6.4), Signature.COVARIATE),
    (Ratios(2.9, 2.8, 1.0, 1.0, 1.0, 0.0, 0, False, 2.9), Signature.COVARIATE),
    (Ratios(8.0, 8.2, 1.2, 2.3, 1.0, 0.3, 9, False, 16.0), Signature.COVARIATE),
    (Ratios(1.0, 2.5, 4.0, 1.3), Signature.NOISE),
    (Ratios(1.0, 1.9, 3.9, 1.3), Signature.NOISE),
    (Ratios(1.0, 2.5, 1.0, 3.8), Signature.TARGET_SCALE),
    (Ratios(1.0, 3.1, 1.2, 3.7), Signature.TARGET_SCALE),
    (Ratios(1.0, 3.1, 1.8, 3.7), Signature.TARGET_SCALE),
    (Ratios(1.0, 1.6, 1.0, 1.0), Signature.COVARIATE),
    (Ratios(2.5, 1.0, 1.0, 1.0), Signature.QUERY_ONLY),
    (Ratios(3.2, 1.0, 1.0, 1.0), Signature.QUERY_ONLY),
    (Ratios(1.4, 1.5, 1.1, 1.0, length_effect=1.45, best_error=0.9), Signature.FEW_EXAMPLES),
    (Ratios(1.0, 1.0, 1.0, 1.0, length_effect=1.45), Signature.FEW_EXAMPLES),
    (Ratios(1.6, 1.7, 1.1, 1.0, length_effect=1.0, best_error=1.0), Signature.FEW_EXAMPLES),
    (Ratios(6.4, 6.3, 1.0, 1.0, length_effect=1.4, best_error=6.0), Signature.COVARIATE),
    (Ratios(2.6, 1.7, 1.0, 1.0, has_heavy_tails=True), Signature.HEAVY_TAILS),
    (Ratios(1.9, 1.7, 1.7, 1.1, has_heavy_tails=True), Signature.HEAVY_TAILS),
    (Ratios(1.0, 1.0, 1.0, 1.0, has_heavy_tails=True), Signature.QUIET),
    (Ratios(1.2, 1.1, 1.0, 0.3), Signature.SIGNAL_SHRANK),
    (Ratios(1.0, 0.7, 0.9, 0.3), Signature.SIGNAL_SHRANK),
    (Ratios(5.0, 5.0, 1.0, 1.0, clipped_share=0.2, clipped_groups=2), Signature.BAD_ROWS),
    (Ratios(5.0, 5.0, 1.0, 1.0, clipped_share=0.2, clipped_groups=3), Signature.COVARIATE),
    (Ratios(5.0, 5.0, 1.0, 1.0, clipped_share=0.04, clipped_groups=1), Signature.COVARIATE),
    (Ratios(5.0, 5.0, 1.0, 1.0, clipped_share=0.2), Signature.COVARIATE),
]


@pytest.mark.parametrize(("ratios", "expected"), ROWS)
def test_the_ratios_of_a_row_have_its_meaning(ratios, expected):
    assert signature(ratios) is expected


def test_what_is_not_known_accuses_nothing():
    unknown = float("nan")

    assert signature(Ratios(unknown, unknown)) is Signature.QUIET


def test_without_labels_left_out_a_rise_of_h_does_not_accuse_the_queries():
    assert signature(Ratios(2.5, float("nan"))) is Signature.COVARIATE


def test_every_signature_has_a_sentence_of_its_own():
    assert len({one.sentence for one in Signature}) == len(Signature)
