"""
====================================
Signals: learnt or computed features
====================================

The first stage of UL4M4 encodes each channel of a signal as a vector. It uses a
convolutional autoencoder that is trained without labels on all observed channels. The
alternative is to compute features by hand. This example compares both as the first step
of a pipeline with :func:`~skmissing.fusion.make_ul4m4`, with ``strategy="soft"``.

The signals are synthetic: three channels of noisy waves. The class depends on the shape
of the waves and on the frequency of short bursts. No single channel is enough to
predict the class.
"""

# %%
# The signals
# -----------
# The columns hold three channels of 96 time points each. One channel is missing in a
# third of the samples, and two channels are missing in another third.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skmissing.encoders import SignalEncoder
from skmissing.fusion import make_ul4m4

N_SAMPLES, N_CHANNELS, LENGTH = 300, 3, 96


def make_signals(random_state):
    """Make signals with missing channels, and their classes."""
    rng = np.random.RandomState(random_state)
    y = rng.randint(4, size=N_SAMPLES)
    time = np.arange(LENGTH) / LENGTH
    X = 0.5 * rng.standard_normal((N_SAMPLES, N_CHANNELS, LENGTH))
    for row, channel in np.ndindex(N_SAMPLES, N_CHANNELS):
        phase = 2 * np.pi * (rng.uniform(6, 9) * time + rng.uniform())
        sharp = y[row] in (1, 3) and channel != 1
        wave = 2 * (phase / (2 * np.pi) % 1) - 1 if sharp else np.sin(phase)
        X[row, channel] += wave
        for _ in range(rng.poisson(4 if y[row] >= 2 and channel != 0 else 1)):
            start = rng.randint(LENGTH - 16)
            X[row, channel, start : start + 16] += 2 * (-1) ** np.arange(16)
    n_missing = rng.randint(3, size=N_SAMPLES)
    for row, n in enumerate(n_missing):
        X[row, rng.permutation(N_CHANNELS)[:n]] = np.nan
    return X.reshape(N_SAMPLES, -1), y


X, y = make_signals(0)
channels = {f"channel{c}": LENGTH for c in range(N_CHANNELS)}

fig, axes = plt.subplots(4, N_CHANNELS, sharex=True, sharey=True, layout="constrained")
whole = ~np.isnan(X).any(axis=1)
for label, row in enumerate(axes):
    example = X[whole & (y == label)][0].reshape(N_CHANNELS, LENGTH)
    for ax, signal in zip(row, example):
        ax.plot(signal, lw=0.8)
    row[0].set_ylabel(f"class {label}")
_ = fig.suptitle("One sample of each class")

# %%
# Features by hand
# ----------------
# The features of a channel are the mean, standard deviation, skewness and kurtosis of
# the signal and of its differences, and the logarithm of the power in eight bands.


class HandFeatures(TransformerMixin, BaseEstimator):
    """Moments and band powers of each channel."""

    def fit(self, X, y=None):
        """Learn nothing."""
        return self

    def transform(self, X):
        """Compute the features of each channel; NaN where it is missing."""
        signals = X.reshape(len(X), N_CHANNELS, LENGTH)
        parts = []
        for values in (signals, np.diff(signals)):
            scale = values.std(axis=-1, keepdims=True)
            unit = (values - values.mean(axis=-1, keepdims=True)) / scale
            parts += [values.mean(axis=-1), scale[..., 0]]
            parts += [(unit**power).mean(axis=-1) for power in (3, 4)]
        power = np.abs(np.fft.rfft(signals)[..., 1:]) ** 2
        parts += list(
            np.log(power.reshape(*power.shape[:2], 8, -1).sum(-1)).T.swapaxes(1, 2)
        )
        features = np.stack(parts, axis=-1)
        self.n_features_out_ = features.shape[-1]
        return features.reshape(len(X), -1)


hand = HandFeatures().fit(X)
n_hand = hand.transform(X).shape[1] // N_CHANNELS

# %%
# Comparison
# ----------
# In each fold, each pipeline is fitted to the training samples only. This includes the
# autoencoder.

LATENT = 16
encoder = SignalEncoder(
    LATENT,
    modalities=channels,
    channels=(16, 32, 64),
    max_epochs=10,
    batch_size=64,
    lr=3e-3,
    random_state=0,
)


def completed(features, width):
    """Make a pipeline of features and `make_ul4m4`."""
    ul4m4 = make_ul4m4(
        "classification",
        modalities=[width] * N_CHANNELS,
        n_clusters=20,
        strategy="soft",
        hidden_dim=32,
        max_epochs=30,
        random_state=0,
    )
    return make_pipeline(features, ul4m4)


pipelines = {
    "raw signals": completed("passthrough", LENGTH),
    "features by hand": completed(hand, n_hand),
    "autoencoder": completed(encoder, LATENT),
}
scores = {
    name: cross_val_score(pipeline, X, y, cv=3) for name, pipeline in pipelines.items()
}
for name, score in scores.items():
    print(f"{name:18} {score.mean():.3f} +- {score.std():.3f}")

# %%
fig, ax = plt.subplots(layout="constrained")
ax.bar(list(scores), [s.mean() for s in scores.values()])
ax.axhline(0.25, color="black", ls="--", lw=1)
_ = ax.set(ylabel="accuracy, three folds", ylim=(0, 1), title="Dashed: chance")

# %%
# On raw signals, the accuracy is only a little better than chance, because the class
# does not depend on the time of a wave. The autoencoder learns some useful features
# without labels. Features that were chosen for these waves are much better. If you know
# such features, use them.
