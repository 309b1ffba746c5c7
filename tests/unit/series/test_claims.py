import pytest
from hypothesis import given
from hypothesis import strategies as st

from sculptlab.series.claims import MIME, Claim, claim


def test_a_claim_that_holds_shows_its_numbers(capsys):
    claim("the means are correlated", [0.8, 0.9, 1.0], above=0.5)
    assert "✓  the means are correlated: 0.9 ± 0.1 over 3 seed(s), claimed > 0.5" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_raises_with_its_numbers():
    with pytest.raises(AssertionError, match=r"DOES NOT HOLD  small: 2 ± 1\.4 over 2 seed\(s\), claimed < 1"):
        claim("small", [1.0, 3.0], below=1)


def test_both_bounds():
    assert Claim("near one", (1.0,), above=0.9, below=1.1).bound == "> 0.9 and < 1.1"
    claim("near one", [1.0], above=0.9, below=1.1)
    with pytest.raises(AssertionError):
        claim("near one", [2.0], above=0.9, below=1.1)


def test_the_output_carries_the_claim():
    claim = Claim("s", (1.0, 2.0), above=0.0)
    assert claim._repr_mimebundle_()[MIME] == {"statement": "s", "values": (1.0, 2.0), "above": 0.0, "below": None}
    assert (claim.mean, claim.spread, claim.bound) == (1.5, pytest.approx(0.7071, abs=1e-4), "> 0")


@pytest.mark.parametrize(
    ("mean", "above", "below", "shown", "bound"),
    [
        (1 / 201, 0.00497, 0.00498, "0.004975", "> 0.00497 and < 0.00498"),
        (0.123456, 0.1, 0.2, "0.123", "> 0.1 and < 0.2"),
        (0.99999, None, 1.0, "0.99999", "< 1"),
        (1.0, None, 1.0, "1", "< 1"),
        (0.12345671, 0.1234567, None, "0.1235", "> 0.123457"),
        (0.12345671, 0.1234567, 0.1234568, "0.12345671", "> 0.1234567 and < 0.1234568"),
        (-2.0004, -2.0, None, "-2.0004", "> -2"),
    ],
)
def test_as_many_digits_are_shown_as_tell_the_mean_from_its_bounds(mean, above, below, shown, bound):
    made = Claim("s", (mean,), above, below)
    assert (made.shown, made.bound) == (shown, bound)
    assert f"{shown} ± 0 over" in str(made)


@given(st.floats(-1e9, 1e9), st.floats(-1e-3, 1e-3), st.booleans())
def test_what_is_shown_holds_exactly_if_the_claim_does(mean, away, above):
    made = Claim("s", (mean,), mean - away if above else None, None if above else mean - away)
    sign, limit = made.bound.split()
    assert made.holds == (float(made.shown) > float(limit) if sign == ">" else float(made.shown) < float(limit))


@pytest.mark.parametrize(
    ("values", "bounds", "words"),
    [([1.0], {}, "needs a bound"), ([], {"above": 0}, "finite"), ([float("nan")], {"above": 0}, "finite")],
)
def test_bad_claims(values, bounds, words):
    with pytest.raises(ValueError, match=words):
        claim("s", values, **bounds)
