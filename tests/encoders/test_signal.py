"""SignalEncoder: results, leakage, seeds and errors."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmissing._table import ModalityWarning
from skmissing._torch import seeded
from skmissing.encoders import SignalEncoder, _signal
from skmissing.encoders._signal import Autoencoder
from skmissing.impute import ClusterGuidedImputer

SMALL = {
    "latent_dim": 4,
    "channels": (4, 8),
    "max_epochs": 3,
    "batch_size": 32,
    "device": "cpu",
    "random_state": 0,
}


def make_signals(n=60, length=64, seed=0, missing=0.3):
    """Make two channels of noisy waves, whose frequency depends on the class."""
    rng = np.random.RandomState(seed)
    y = rng.randint(2, size=n)
    time = np.arange(length) / length
    phase = rng.uniform(0, 2 * np.pi, (n, 2, 1))
    cycles = np.where(y == 0, 3, 7)[:, None, None]
    X = np.sin(2 * np.pi * cycles * time + phase) + 0.3 * rng.standard_normal(
        (n, 2, length)
    )
    X *= [[[1.0], [20.0]]]
    gone = np.flatnonzero(rng.uniform(size=n) < missing)
    X[gone, rng.randint(2, size=len(gone))] = np.nan
    return X.reshape(n, -1), y


X, Y = make_signals()


def test_forms_of_the_layout():
    """Widths, a token shape and prefixed names describe the same channels."""
    pd = pytest.importorskip("pandas")
    expected = SignalEncoder(modalities=[64, 64], **SMALL).fit_transform(X)
    assert expected.shape == (60, 8)
    shape = SignalEncoder(modalities={"eeg": (2, 64)}, **SMALL).fit(X)
    assert_array_equal(shape.transform(X), expected)
    assert list(shape.channels_) == ["eeg0", "eeg1"]
    names = [f"{c}__{i}" for c in ("left", "right") for i in range(64)]
    frame = pd.DataFrame(X, columns=names)
    named = SignalEncoder(**SMALL).set_output(transform="pandas")
    out = named.fit_transform(frame)
    assert_array_equal(out, expected)
    assert list(out.columns[[0, 4]]) == ["left__0", "right__0"]


def test_missing_channels_stay_missing():
    encoder = SignalEncoder(modalities=[64, 64], **SMALL).fit(X)
    found = encoder.transform(X).reshape(60, 2, 4)
    missing = np.isnan(X).reshape(60, 2, 64).all(axis=2)
    assert_array_equal(np.isnan(found).any(axis=2), missing)
    assert_array_equal(np.isnan(found).all(axis=2), missing)
    whole = np.flatnonzero(~missing.any(axis=1))
    cut = X[whole].copy()
    cut[:, 64:] = np.nan
    assert_allclose(encoder.transform(cut)[:, :4], found[whole, 0], rtol=1e-9)


def test_one_encoder_for_all_channels():
    wave = make_signals(missing=0)[0][:, :64]
    twice = np.hstack([wave, 5 * wave + 3])
    encoder = SignalEncoder(modalities=[64, 64], **SMALL).fit(twice)
    found = encoder.transform(twice)
    assert_allclose(found[:, :4], found[:, 4:], rtol=1e-6, atol=1e-8)


def test_scale_is_that_of_the_training_samples():
    """Means and deviations are those of the observed cells given to fit."""
    encoder = SignalEncoder(modalities=[64, 64], **SMALL).fit(X[:40])
    blocks = X[:40].reshape(40, 2, 64)
    assert_allclose(encoder.mean_, np.nanmean(blocks, axis=(0, 2)))
    assert_allclose(encoder.scale_, np.nanstd(blocks, axis=(0, 2)))
    before = encoder.mean_.copy()
    encoder.transform(X[40:] * 100)
    assert_array_equal(encoder.mean_, before)


def test_lengths_may_differ():
    encoder = SignalEncoder(modalities=[64, 50, 14], **SMALL)
    found = encoder.fit_transform(X)
    assert found.shape == (60, 12)
    assert_array_equal(np.isnan(found[:, 4]), np.isnan(found[:, 8]))


def test_loss_falls():
    params = {**SMALL, "latent_dim": 16, "max_epochs": 15, "lr": 1e-2}
    encoder = SignalEncoder(modalities=[64, 64], **params).fit(X)
    assert len(encoder.loss_curve_) == 15
    assert encoder.loss_curve_[-1] < 0.7 < encoder.loss_curve_[0]


def test_seed_decides():
    one, same, other = (
        SignalEncoder(modalities=[64, 64], **{**SMALL, "random_state": s}).fit(X)
        for s in (0, 0, 1)
    )
    assert_array_equal(one.transform(X), same.transform(X))
    assert not np.array_equal(one.transform(X), other.transform(X), equal_nan=True)


def test_generator_of_torch_is_left_alone(monkeypatch):
    before, seen = torch.random.get_rng_state(), []

    class Watched(Autoencoder):
        def __init__(self, **sizes):
            super().__init__(**sizes)
            seen.append(torch.random.get_rng_state())

        def encode(self, x):
            seen.append(torch.random.get_rng_state())
            return super().encode(x)

    monkeypatch.setattr(_signal, "Autoencoder", Watched)
    encoder = SignalEncoder(modalities=[64, 64], **SMALL).fit(X)
    made, *training = seen
    assert not torch.equal(made, before) and len(training) == 12
    encoder.transform(X)
    for state in training:  # training draws nothing
        assert torch.equal(state, made)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_threads_do_not_disturb_each_other():

    def fit(_):
        return SignalEncoder(modalities=[64, 64], **SMALL).fit(X).transform(X)

    encoder = SignalEncoder(modalities=[64, 64], **SMALL).fit(X)
    expected = encoder.transform(X)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(fit, range(16)):
            assert_array_equal(found, expected)
        with seeded(0, torch.device("cpu")):
            pool.submit(encoder.transform, X).result(timeout=60)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_default_dtype_does_not_matter(dtype):
    encoder = SignalEncoder(modalities=[64, 64], **SMALL)
    expected = encoder.fit_transform(X)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert_array_equal(encoder.fit_transform(X), expected)
    finally:
        torch.set_default_dtype(before)


def test_loss_excludes_missing_cells():
    made, values = torch.randn(3, 10), torch.zeros(3, 10)
    observed = torch.arange(10).expand(3, 10) < 4
    loss = _signal.CellError()(made, (values, observed))
    assert_allclose(loss, (made[:, :4] ** 2).mean(), rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 15, 64, 101])
def test_any_length(length):
    net = Autoencoder(4, (4, 8, 8), 7, 4).eval()
    x = torch.randn(2, length)
    assert net(x).shape == x.shape
    assert net.encode(x).shape == (2, 4)


def test_default_network_is_that_of_the_paper():
    """Convolutions to 32, 64 and 128 channels with kernels of 7, latent size 128."""
    params = SignalEncoder().get_params()
    sizes = (params[k] for k in ("latent_dim", "channels", "kernel_size", "pool_size"))
    net = Autoencoder(*sizes)
    convs = [block[0] for block in net.down]
    assert [c.out_channels for c in convs] == [32, 64, 128]
    assert {c.kernel_size for c in convs} == {(7,)}
    assert net.to_latent.out_features == 128
    kinds = [type(layer).__name__ for layer in net.down[0]]
    assert kinds == ["Conv1d", "BatchNorm1d", "GELU"]


def test_in_a_pipeline_under_cross_validation():
    pipeline = make_pipeline(
        SignalEncoder(
            modalities=[64, 64], **{**SMALL, "latent_dim": 8, "max_epochs": 10}
        ).set_output(transform="pandas"),
        ClusterGuidedImputer(5, random_state=0),
        StandardScaler(),
        LogisticRegression(),
    )
    signals, y = make_signals(90)
    assert cross_val_score(pipeline, signals, y, cv=3).mean() > 0.8


def test_channel_that_fit_never_saw():
    gone = X.copy()
    gone[:, 64:] = np.nan
    gone = gone[~np.isnan(gone[:, 0])]
    encoder = SignalEncoder(modalities={"left": 64, "right": 64}, **SMALL)
    unseen = "SignalEncoder: 1 of 2 modalities .*: 'right'; they are encoded as missing"
    with pytest.warns(ModalityWarning, match=unseen) as record:
        encoder.fit(gone)
    assert record[0].filename == __file__
    with pytest.warns(ModalityWarning, match="in fit are ignored: 'right'") as record:
        found = encoder.transform(X)
    assert record[0].filename == __file__
    assert np.isnan(found[:, 4:]).all()


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match="all channels of all 3 samples"):
        SignalEncoder(modalities=[64, 64], **SMALL).fit(np.full((3, 128), np.nan))


@pytest.mark.parametrize(
    "params, match",
    [
        ({"kernel_size": 4}, "`kernel_size` must be odd; got 4"),
        ({"channels": ()}, r"`channels` must be one or more.*got \(\)"),
        ({"channels": (4, 0)}, r"`channels` must be one or more.*got \(4, 0\)"),
        ({"modalities": {"a": (2, 32), "a0": 64}}, "name per channel; got 'a0' twice"),
        ({"latent_dim": 0}, "'latent_dim' parameter of SignalEncoder"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        SignalEncoder(**{**SMALL, "modalities": [64, 64], **params}).fit(X)


def test_verbose(capsys):
    SignalEncoder(modalities=[64, 64], verbose=True, **SMALL).fit(X)
    assert len(capsys.readouterr().out.splitlines()) == 2 + 3
