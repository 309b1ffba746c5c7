import pytest

from sculptlab.claims import MIME, Claim, claim


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


def test_the_facts_travel_with_the_output():
    facts = Claim("s", (1.0, 2.0), above=0.0, below=None)._repr_mimebundle_()[MIME]
    assert facts == {
        "statement": "s",
        "holds": True,
        "mean": 1.5,
        "spread": pytest.approx(0.7071, abs=1e-4),
        "n": 2,
        "bound": "> 0",
    }


@pytest.mark.parametrize(
    ("values", "bounds", "words"),
    [([1.0], {}, "needs a bound"), ([], {"above": 0}, "finite"), ([float("nan")], {"above": 0}, "finite")],
)
def test_bad_claims(values, bounds, words):
    with pytest.raises(ValueError, match=words):
        claim("s", values, **bounds)
