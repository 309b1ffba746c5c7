"""Verdicts: each rests on recorded numbers, and none contradicts them."""

import pytest

from sculptlab.series import results, verdicts


@pytest.mark.parametrize("kind", verdicts.KINDS)
def test_no_verdict_contradicts_its_numbers(kind):
    assert [line for one in verdicts.statements(kind) for line in one.broken] == []


def test_all_claims_and_reviews_are_there():
    assert [one.id for one in verdicts.statements("claim")] == [f"C{k}" for k in range(1, 11)]
    assert [one.id for one in verdicts.statements("review")] == [f"R{k}" for k in range(1, 11)]


@pytest.mark.parametrize("kind", verdicts.KINDS)
def test_a_statement_without_numbers_says_why(kind):
    for one in verdicts.statements(kind):
        assert one.evidence or one.note, one.id
        assert one.page or one.verdict == "unknown", one.id
    assert {one.verdict for one in verdicts.statements("claim")} <= set(verdicts.VERDICTS[:4])


def test_numbers_are_read_from_the_records_and_have_bounds():
    for kind in verdicts.KINDS:
        for one in verdicts.statements(kind):
            assert all(claim.above is not None or claim.below is not None for claim in one.evidence), one.id
    (vae, _) = verdicts.statements("claim")[0].evidence
    frame = results.read_result("kl_failure_fashion_mnist").frame
    rows = frame.query("dim == 10 and objective == 'beta 1' and codes == 'means'")
    assert vae.mean == pytest.approx(rows["c2st"].mean())
    assert f"{rows['c2st'].mean():.3f} ± {rows['c2st'].std():.3f}" in verdicts.table("claim")["measured"][0]


def test_a_number_that_leaves_its_bound_is_named():
    given = {"words": "x", "result": "lps_sprites", "rows": "codes == 'rotated'", "column": "MIG", "above": 0.9}
    one = verdicts.Statement("C0", "x", "holds", "02", "", (verdicts._claim(given),))
    assert "DOES NOT HOLD" in one.broken[0]


def test_a_query_without_rows_and_an_unknown_verdict_are_refused():
    given = {"words": "x", "result": "lps_sprites", "rows": "codes == 'no such'", "column": "MIG", "above": 0.9}
    with pytest.raises(ValueError, match=r"no such.* finds no MIG in lps_sprites"):
        verdicts._claim(given)
    with pytest.raises(ValueError, match="verdict must be one of"):
        verdicts.Statement("C0", "x", "perhaps", "02", "", ())


def test_a_quotient_is_taken_seed_by_seed():
    given = {"words": "x", "result": "ablations_architecture", "column": "mmd2", "below": 1.0}
    rows = {"rows": "value == 'conv' and condition == 'MMD'", "over": "value == 'conv' and condition == 'no regularizer'"}
    found = verdicts._claim(given | rows)
    frame = results.read_result("ablations_architecture").frame
    one, other = (frame.query(query).set_index("seed")["mmd2"] for query in rows.values())
    assert list(found.values) == pytest.approx((one / other).tolist())
