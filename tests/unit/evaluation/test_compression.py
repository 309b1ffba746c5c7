"""Compression: closed forms of quantizers, a lossless coder as short as entropy allows, files that say what they hold."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sculptlab as sl
from sculptlab.evaluation.compression import Codec, Quantizer, decompress, rate_distortion
from sculptlab.evaluation.compression.codec import decode_symbols, encode_symbols, entropy, symbol_frequencies
from sculptlab.series.studies.compression import RoundedCodes

LLOYD = {1: 0.3634, 2: 0.1175, 3: 0.03454, 4: 0.009497}  # least squared errors of N(0, 1) with 2^k levels (Max 1960)


def uniform(n, d, half=1.0, seed=0):
    return half * (2 * torch.rand(n, d, generator=torch.Generator().manual_seed(seed)) - 1)


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def ideal_bits(frequencies, symbols):
    """-sum log2 p(symbol): the least length of any file with these frequencies."""
    return -np.log2(frequencies[np.arange(len(frequencies)), np.asarray(symbols)] / 2**16).sum()


def error(quantizer, z):
    return (quantizer.quantize(z).values - z).square().mean().item()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_box_of_uniform_codes_has_step_squared_over_twelve_and_k_bits(bits):
    z = uniform(50_000, 2, half=3.0)
    found = Quantizer.box(2, bits, -3.0, 3.0).quantize(z)
    step = 6.0 / 2**bits
    assert (found.values - z).square().mean().item() == pytest.approx(step**2 / 12, rel=0.01)
    assert (found.values - z).abs().max() <= step / 2 + 1e-6
    assert entropy(found.symbols) == pytest.approx(2 * bits, rel=0.002)
    assert found.clamped == 0


def test_what_lies_outside_gets_the_nearest_level_and_is_counted():
    z = uniform(40_000, 3)
    found = Quantizer.box(3, 3, -0.5, 0.5).quantize(z)
    assert found.clamped == pytest.approx(0.5, abs=0.01)
    assert found.values.abs().max().item() == pytest.approx(0.5 - 1 / 16)
    assert torch.equal(found.values[z > 0.5], torch.full_like(z[z > 0.5], 0.5 - 1 / 16))
    assert Quantizer.box(1, 3, -0.5, 0.5).quantize([[0.5]]).clamped == 0  # the border belongs to the box


@pytest.mark.parametrize("bits", LLOYD)
def test_lloyd_finds_the_known_optimum_of_a_gaussian(bits):
    z = normal(60_000, 2) * torch.tensor([1.0, 50.0]) + 3.0  # neither scale nor place matters
    relative = (Quantizer.fit(z, bits, "lloyd").quantize(z).values - z).square().mean(0) / z.var(0)
    assert relative.tolist() == pytest.approx([LLOYD[bits]] * 2, rel=0.03)


def test_lloyd_comes_near_the_optimum_of_many_levels():
    z = normal(60_000, 1)
    assert error(Quantizer.fit(z, 6, "lloyd"), z) == pytest.approx(3**0.5 * math.pi / 2 / 4**6, rel=0.08)  # Panter and Dite


def test_quantile_levels_make_symbols_uniform_and_cost_error():
    z = normal(40_000, 1)
    quantile, lloyd = Quantizer.fit(z, 4, "quantile"), Quantizer.fit(z, 4, "lloyd")
    assert entropy(quantile.quantize(z).symbols) == pytest.approx(4, abs=1e-3)
    assert error(quantile, z) > 1.5 * error(lloyd, z)


def test_a_common_step_gives_a_latent_of_no_spread_no_bits():
    z = normal(20_000, 2) * torch.tensor([1.0, 1e-3])
    stepped, ranged = (Quantizer.fit(z, 4, levels).quantize(z) for levels in ("step", "range"))
    assert entropy(stepped.symbols[:, 1:]) == 0
    assert entropy(ranged.symbols[:, 1:]) > 2.5
    step = (12 * 0.5) ** 0.5 / 16
    assert (stepped.values - z)[:, 0].square().mean().item() == pytest.approx(step**2 / 12, rel=0.03)
    # high rate: entropy = differential entropy - log2(step), whatever the shape
    assert entropy(stepped.symbols[:, :1]) == pytest.approx(0.5 * math.log2(2 * math.pi * math.e) - math.log2(step), abs=0.02)


def test_a_uniform_step_costs_a_quarter_of_a_bit():
    """At equal error, entropy-coded: 1/2 log2(2 pi e / 12) = 0.254 bit above Shannon's bound for a Gaussian, at high rate."""
    z = normal(60_000, 1)
    stepped = Quantizer.fit(z, 4, "step")
    shannon = -0.5 * math.log2(error(stepped, z))
    assert entropy(stepped.quantize(z).symbols) - shannon == pytest.approx(0.5 * math.log2(2 * math.pi * math.e / 12), abs=0.01)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_symbols_survive_the_coder(data):
    n, d, size = (data.draw(st.integers(1, most)) for most in (40, 4, 300))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    fitted, sent = rng.integers(0, size, (n, d)), rng.integers(0, size, (n, d))  # sent ones may not have been seen
    frequencies = symbol_frequencies(fitted, size)
    assert np.array_equal(decode_symbols(encode_symbols(sent, frequencies), frequencies, n), sent)


@pytest.mark.parametrize("skew", [0.3, 1.0, 3.0])
def test_the_file_is_as_long_as_the_entropy(skew):
    rng = np.random.default_rng(0)
    shares = np.exp(-skew * np.arange(16))
    symbols = rng.choice(16, (20_000, 3), p=shares / shares.sum())
    frequencies = symbol_frequencies(symbols, 16)
    bits = 8 * len(encode_symbols(symbols, frequencies))
    assert bits == pytest.approx(20_000 * entropy(symbols), rel=0.01)
    assert 0 <= bits - ideal_bits(frequencies, symbols) <= 8 * 16


def test_a_certain_symbol_is_free_and_an_unseen_one_costs_sixteen_bits():
    zeros, threes = np.zeros((500, 2), int), np.full((1, 2), 3)
    frequencies = symbol_frequencies(zeros, 4)
    assert len(encode_symbols(zeros, frequencies)) <= 8
    assert ideal_bits(frequencies, threes) == 32
    assert 4 <= len(encode_symbols(threes, frequencies)) <= 8
    only = symbol_frequencies(zeros[:, :1], 1)
    assert decode_symbols(encode_symbols(zeros[:1, :1], only), only, 1) == [[0]]


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_files_are_as_long_as_when_the_study_was_recorded(bits):
    """The recorded study's coder (rANS, 64-bit state, words of 32 bits) took at most 8 bytes more than the ideal length.

    In the study of 10,000 images that is 0.06 % of one bit a latent; so no recorded size moves by more than 0.1 %.
    """
    z, seen = normal(20_000, 10).tanh(), normal(10_000, 10, seed=1).tanh()
    quantizer = Quantizer.fit(z, bits, "range")
    codec = Codec.fit(quantizer, z)
    symbols = quantizer.quantize(seen).symbols
    found = len(encode_symbols(symbols.numpy(), codec.frequencies))
    assert found == pytest.approx(ideal_bits(codec.frequencies, symbols) / 8 + 4, rel=5e-4)


@given(st.integers(0, 10_000), st.sampled_from(["box", "range", "quantile", "lloyd", "step"]), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_a_file_alone_gives_back_the_dequantized_codes(seed, levels, bits):
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(60, 3, generator=rng) * 10 ** (4 * torch.rand(3, generator=rng) - 2) + torch.randn(3, generator=rng)
    quantizer = Quantizer.box(3, bits, -2.0, 2.0) if levels == "box" else Quantizer.fit(z[:40], bits, levels)
    codec = Codec.fit(quantizer, z[:40])
    file = codec.compress(z)
    assert torch.equal(decompress(file), quantizer.quantize(z).values)


def test_fitted_levels_serve_codes_that_do_not_vary():
    z = torch.full((30, 2), 7.0)
    for levels in ("range", "quantile", "lloyd", "step"):
        quantizer = Quantizer.fit(z, 2, levels)
        assert quantizer.quantize(z).values.numpy() == pytest.approx(7.0, abs=1e-5)
        assert entropy(quantizer.quantize(z).symbols) == 0


@pytest.mark.parametrize("cut", [1, 4, 8, 200, 10_000])
def test_a_file_cut_short_is_refused(cut):
    z = uniform(200, 2)
    file = Codec.fit(Quantizer.box(2, 4, -1, 1), z).compress(z)
    with pytest.raises(ValueError, match="file must be whole"):
        decompress(file[:-cut])


def test_a_longer_or_altered_file_is_refused():
    z = uniform(200, 2)
    file = Codec.fit(Quantizer.box(2, 4, -1, 1), z).compress(z)
    for at in range(len(file)):  # wherever it is
        with pytest.raises(ValueError, match="damaged"):
            decompress(file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :])
    with pytest.raises(ValueError, match="damaged"):
        decompress(file + b"\0\0\0\0")


BOX = Quantizer.box(2, 2, -1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Quantizer.box(2, 0, -1, 1), ValueError, "bits must be at least 1, got 0"),
        (lambda: Quantizer.box(2, 13, -1, 1), ValueError, "bits must be between 1 and 12, got 13"),
        (lambda: Quantizer.box(2, 2.0, -1, 1), TypeError, "bits must be a whole number"),
        (lambda: Quantizer.box(1, 2, -1, 1).quantize([[math.nan]]), ValueError, "codes has 1 value"),
        (lambda: Quantizer.box(2, 2, 1.0, 1.0), ValueError, "high must be > 1"),
        (lambda: Quantizer.box(2, 2, -math.inf, 1.0), ValueError, "low must be finite"),
        (lambda: Quantizer.fit(uniform(9, 2), 2, "box"), ValueError, "levels must be one of"),
        (lambda: BOX.quantize(uniform(9, 3)), ValueError, r"codes must have 2 column\(s\), got 3"),
        (lambda: decompress(b"abc"), ValueError, "file must be whole"),
        (lambda: RoundedCodes(model(stochastic=True), 2, -1, 1), ValueError, "deterministic"),
        (lambda: RoundedCodes(model(), 0, -1, 1), ValueError, "bits must be at least 1"),
        (lambda: RoundedCodes(model(), 2, 1, -1), ValueError, "high must be > 1"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_codes_that_reach_too_far_for_a_common_step_say_so():
    z = torch.cat([torch.zeros(99_999, 1), torch.full((1, 1), 1e6)])
    with pytest.raises(ValueError, match="bits must be fewer"):
        Quantizer.fit(z, 8, "step")


def model(**options):
    return sl.build_autoencoder("mlp", image_shape=(6,), dim=2, width=8, output="linear", **options)


def test_a_rounding_decoder_passes_the_gradient_straight_through():
    plain = model()
    plain.decode = lambda codes: codes
    rounded = RoundedCodes(plain, 2, -1.0, 1.0)
    z = torch.tensor([[0.1, -3.0], [0.6, 0.9]], requires_grad=True)
    values = rounded.decode(z)
    assert torch.allclose(values, torch.tensor([[0.25, -0.75], [0.75, 0.75]]))
    assert torch.allclose(values, Quantizer.box(2, 2, -1.0, 1.0).quantize(z).values)
    values.sum().backward()
    assert torch.equal(z.grad, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))  # -3 lies outside


def test_training_with_rounded_codes_finds_the_best_two_levels():
    """One bit of U(-1, 1): means of the halves, error 1/12; a model trained without rounding does not put its codes there."""
    training, held_out = uniform(4000, 1, seed=0), uniform(2000, 1, seed=1)
    errors = []
    for aware in (False, True):
        plain = sl.build_autoencoder("mlp", image_shape=(1,), dim=1, width=16, output="linear", seed=0)
        seen = RoundedCodes(plain, 1, -1.7, 1.7) if aware else plain
        options = {"steps": 400, "batch_size": 256, "learning_rate": 1e-2, "seed": 0, "device": "cpu", "progress": False}
        run = sl.fit(seen, training, sl.objectives.Reconstruction(), **options)
        frame = rate_distortion(run, training, held_out, [1], levels="box", support=(-1.7, 1.7))
        errors.append(frame["mse"].item())
    assert errors[1] == pytest.approx(1 / 12, rel=0.05)
    assert frame["unquantized"].item() == pytest.approx(errors[1])  # its decoder rounds in any case
    assert errors[0] > 1.2 / 12


class Linear:
    """A 'run' whose decoder is a rotation: the error per pixel is that of the codes, spread over the pixels."""

    turn = torch.linalg.qr(normal(5, 5, seed=1))[0][:2]

    def encode(self, images):
        return images @ self.turn.T

    def decode(self, codes):
        return codes @ self.turn


def test_rate_and_distortion_of_a_linear_model_in_closed_form():
    run = Linear()
    training, held_out = (run.decode(uniform(20_000, 2, seed=seed)) for seed in (0, 1))
    frame = rate_distortion(run, training, held_out, [2, 4], levels="box", support=(-1.0, 1.0))
    assert frame["mse"].tolist() == pytest.approx([2 / 5 * (2 / 2**k) ** 2 / 12 for k in (2, 4)], rel=0.02)
    assert frame["unquantized"].max() < 1e-12
    assert frame["nominal"].tolist() == [4, 8]
    assert frame["entropy"].tolist() == pytest.approx([4, 8], abs=0.01)
    assert (frame["coded"] > frame["stream"]).all()
    assert frame["stream"].tolist() == pytest.approx([4, 8], abs=0.05)
    assert frame["clamped"].max() < 1e-3  # of rounding alone


def test_a_support_belongs_to_the_box():
    images = normal(20, 5)
    for options in ({"levels": "box"}, {"levels": "range", "support": (-1.0, 1.0)}):
        with pytest.raises(ValueError, match="support must be given"):
            rate_distortion(Linear(), images, images, [1], **options)
    with pytest.raises(ValueError, match="levels must be one of"):
        rate_distortion(Linear(), images, images, [1], levels="best")
