"""Learns to encode signals, stage 0 of UL4M4."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skmissing._base import (
    ModalityMixin,
    SkmissingEstimator,
    warn_never_observed,
    warn_unlearnt,
)
from skmissing._blocks import row_chunks
from skmissing._compat import (
    Interval,
    _check_feature_names_in,
    _fit_context,
    import_optional,
)
from skmissing._modalities import Modality, ModalityLayout

# Values in the largest feature map of one forward pass.
CHUNK_VALUES = 1 << 23


class SignalEncoder(ModalityMixin, TransformerMixin, SkmissingEstimator):
    """Learn to encode signals with an autoencoder, without labels.

    Each modality is a channel: one signal, sampled at the columns of the modality. One
    convolutional autoencoder is trained on all present channels of the rows given to
    `fit`; its decoder is dropped, and the encoder turns each present channel into a
    vector. An absent channel stays absent.

    Read more in the :ref:`User Guide <encoders>`.

    Parameters
    ----------
    latent_dim : int, default=128
        Width of the embedding of a channel.

    modalities : None, list of int, or dict, default=None
        Which columns form a channel. A list gives the lengths of the channels, from
        left to right; a dict gives, by name, a length, a slice, a list of columns, or
        `(n_channels, length)` for several channels that lie one after the other. None
        groups columns named `channel__sample` by their prefix.

    channels : tuple of int, default=(32, 64, 128)
        Widths of the convolutions.

    kernel_size : int, default=7
        Width of their kernels, an odd number.

    pool_size : int, default=4
        By how much a signal is shortened after each convolution.

    max_epochs : int, default=30
        Passes over the signals.

    batch_size : int, default=128
        Signals in a step of the training.

    lr : float, default=1e-3
        Learning rate at the start; falls to 0 along a cosine.

    device : str, default="auto"
        Device of torch; "auto" is CUDA or Apple's GPU if there is one, else the CPU.

    random_state : int, RandomState instance or None, default=None
        Seed of the weights and of the order of the signals.

    verbose : bool or int, default=False
        Whether to print the loss of each epoch.

    Attributes
    ----------
    channels_ : ModalityLayout
        The channels, by name. Those of a modality `ecg` of the form
        `(n_channels, length)` are `ecg0`, `ecg1` and so on.

    mean_ : ndarray of shape (n_channels,)
        Mean of each channel; NaN if no row has it.

    scale_ : ndarray of shape (n_channels,)
        Standard deviation of each channel.

    loss_curve_ : list of float
        Mean squared error of the reconstruction in each epoch, in units of the
        channels' variances.

    modalities_ : ModalityLayout
        Ordered mapping from the name of each modality to its columns.

    n_features_in_ : int
        Number of columns seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen in `fit`, if they were strings.

    Raises
    ------
    ValueError
        If no channel of any row is observed.

    See Also
    --------
    AudioEncoder : Encodes sound by a pretrained model.
    skmissing.impute.ClusterGuidedImputer : Completes the channels that are absent.

    Notes
    -----
    Convolutions with batch normalisation, GELU and max pooling; the last map is
    averaged to 16 positions and mapped to the latent vector. The decoder mirrors them
    with linear interpolation. Trained by Adam with a cosine schedule and clipped
    gradients on the mean squared error, as stage 0 of UL4M4 [1]_, with its sizes; how
    far signals are pooled is not told there and is ours. Channels are standardised,
    each by one mean and one standard deviation. They may differ in length.

    Holes of a present channel are taken for the channel's mean and left out of the
    loss. The result is that of double precision for rows of float64.

    References
    ----------
    .. [1] H. Ismkhan and A. Bouchahcia, "UL4M4", arXiv:2606.15743.

    Examples
    --------
    >>> import numpy as np
    >>> from skmissing.encoders import SignalEncoder
    >>> X = np.sin(np.arange(20)[:, None] * np.arange(100) / 50)
    >>> X[0, 50:] = np.nan
    >>> encoder = SignalEncoder(
    ...     4, modalities={"left": 50, "right": 50}, max_epochs=2, random_state=0
    ... )
    >>> encoder.fit_transform(X).shape
    (20, 8)
    >>> encoder.get_feature_names_out()[[0, 4]]
    array(['left__0', 'right__0'], dtype=object)
    >>> np.isnan(encoder.transform(X)[0])
    array([False, False, False, False,  True,  True,  True,  True])
    """

    _parameter_constraints: dict = {
        **ModalityMixin._parameter_constraints,
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "channels": [tuple, list],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        latent_dim=128,
        *,
        modalities=None,
        channels=(32, 64, 128),
        kernel_size=7,
        pool_size=4,
        max_epochs=30,
        batch_size=128,
        lr=1e-3,
        device="auto",
        random_state=None,
        verbose=False,
    ):
        self.latent_dim = latent_dim
        self.modalities = modalities
        self.channels = channels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals, one channel after the other. NaN and masked cells are missing.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted encoder.
        """
        del y
        X = self._validate(X, reset=True)
        net = self._net()
        self._check_params()
        rng = check_random_state(self.random_state)
        self.channels_ = ModalityLayout(_split_channels(self.modalities_))
        presence = self._find_presence(X)
        seen = presence.any(axis=0)
        if not seen.any():
            raise ValueError(
                f"SignalEncoder has nothing to learn from: in all {len(X)} rows every "
                "channel is missing."
            )
        unseen = [n for n, any_ in zip(self.channels_.names, seen) if not any_]
        warn_never_observed(unseen, "they are encoded as missing")
        self._fit_scale(X)
        groups, read = self._signals(X, presence)
        self._sizes = (
            int(self.latent_dim),
            tuple(int(n) for n in self.channels),
            int(self.kernel_size),
            int(self.pool_size),
        )
        self._weights, self.loss_curve_ = net.train_autoencoder(
            groups,
            read,
            net.Architecture(*self._sizes),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            device=self.device,
            seed=int(rng.randint(2**31 - 1)),
            report=_print_loss if self.verbose else None,
        )
        return self

    def _net(self):
        import_optional("torch", "neural")
        from skmissing.encoders import _signal_net

        return _signal_net

    def _check_params(self):
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd; got {self.kernel_size}.")
        good = [isinstance(n, Integral) and n >= 1 for n in self.channels]
        if not good or not all(good):
            raise ValueError(
                f"channels must be one or more ints from 1 on; got {self.channels!r}."
            )

    def _find_presence(self, X):
        """Which channels each row has."""
        presence = np.empty((len(X), len(self.channels_)), dtype=bool)
        for c in range(len(self.channels_)):
            block = X[:, self.channels_.columns_of(c)]
            presence[:, c] = ~np.isnan(block).all(axis=1)
        return presence

    def _fit_scale(self, X):
        n_channels = len(self.channels_)
        self.mean_, self.scale_ = np.full(n_channels, np.nan), np.ones(n_channels)
        for c in range(n_channels):
            block = X[:, self.channels_.columns_of(c)]
            values = block[~np.isnan(block)].astype(np.float64)
            if values.size:
                self.mean_[c], deviation = values.mean(), values.std()
                # Rounding makes the deviation of a constant channel more than zero.
                if deviation > 10 * np.finfo(X.dtype).eps * abs(self.mean_[c]):
                    self.scale_[c] = deviation

    def _scaled(self, values, channel):
        """Standardised signals, and which cells were observed."""
        mean = self.mean_[channel].reshape(-1, 1)
        values = (values - mean) / self.scale_[channel].reshape(-1, 1)
        observed = ~np.isnan(values)
        values[~observed] = 0.0
        return values, observed

    def _signals(self, X, presence):
        """Numbers of present signals by length, and a function that reads them."""
        widths, groups = self.channels_.widths, []
        for width in np.unique(widths[presence.any(axis=0)]):
            of_width = np.flatnonzero(widths == width)
            rows, which = np.nonzero(presence[:, of_width])
            columns = [m.columns for m in self.channels_.values() if m.width == width]
            groups.append((rows, of_width[which], np.array(columns)[which]))

        def read(group, part):
            rows, channels, columns = (array[part] for array in groups[group])
            values, observed = self._scaled(X[rows[:, None], columns], channels)
            return values.astype(np.float32), observed

        return [len(rows) for rows, _, _ in groups], read

    def transform(self, X):
        """Encode signals.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals, as in `fit`.

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_channels * latent_dim)
            Channel after channel, NaN where a channel is missing, in the dtype of X.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        presence = self._find_presence(X)
        learnt = ~np.isnan(self.mean_)
        warn_unlearnt(self.channels_, presence, learnt)
        net = self._net()
        sizes = net.Architecture(*self._sizes)
        encode = net.load_encoder(self._weights, sizes, self.device, X.dtype)
        dim = sizes.latent_dim
        out = np.full((len(X), len(learnt), dim), np.nan, dtype=X.dtype)
        for c in np.flatnonzero(learnt):
            block = X[:, self.channels_.columns_of(c)]
            rows = np.flatnonzero(presence[:, c])
            n_values = block.shape[1] * max(sizes.channels[0], 1)
            for chunk in row_chunks(len(rows), n_values, CHUNK_VALUES):
                values, _ = self._scaled(block[rows[chunk]], np.array([c]))
                out[rows[chunk], c] = encode(values)
        return out.reshape(len(X), -1)

    def _check_loaded(self):
        """Raise ValueError if the learnt state does not fit together."""
        if len(self.channels_) != len(self.mean_):
            raise ValueError(
                f"{len(self.channels_)} channels, but {len(self.mean_)} means."
            )
        self._net().check_weights(self._weights, self._sizes)

    def get_feature_names_out(self, input_features=None):
        """Names of the output columns: the channel's, two underscores, and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; only checked.

        Returns
        -------
        ndarray of str
            Numbers are padded with zeros, so that names sort as the columns stand.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        dim = self._sizes[0]
        width = len(str(dim - 1))
        names = [f"{c}__{i:0{width}d}" for c in self.channels_ for i in range(dim)]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _split_channels(layout):
    """One modality a channel, of modalities that may hold several."""
    channels = []
    for modality in layout.values():
        if modality.n_tokens == 1:
            channels.append(modality)
            continue
        columns = modality.columns.reshape(modality.shape)
        channels += [
            Modality(f"{modality.name}{i}", row) for i, row in enumerate(columns)
        ]
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"modalities: two channels are named {doubled!r}; rename a modality."
        )
    return channels


def _print_loss(epoch, loss):
    print(f"epoch {epoch + 1:4d}  loss {loss:.4f}")
