"""read_sleep_edf on recordings that the test writes."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmissing.datasets import read_sleep_edf

STAGES = ["W", "1", "2", "3", "4", "R", "?", "2"]


@pytest.fixture
def record(tmp_path):
    """Write a recording and its hypnogram; return the path of the signals."""
    edfio = pytest.importorskip("edfio")

    def write(name="SC4001", stages=STAGES, channels=("EEG Fpz-Cz",), rate=10, **extra):
        n_epochs = extra.pop("n_epochs", len(stages))
        n_samples = n_epochs * 30 * rate
        signals = [
            edfio.EdfSignal(
                np.linspace(-100, 100, n_samples) * (c + 1),
                rate,
                label=label,
                physical_range=(-400, 400),
            )
            for c, label in enumerate(channels)
        ]
        edfio.Edf(signals, data_record_duration=30).write(
            tmp_path / f"{name}E0-PSG.edf"
        )
        onset, seconds = extra.pop("onset", 0.0), extra.pop("seconds", 30.0)
        annotations = [
            edfio.EdfAnnotation(onset + i * seconds, seconds, f"Sleep stage {stage}")
            for i, stage in enumerate(stages)
        ]
        annotations.append(edfio.EdfAnnotation(1.0, None, "Lights off"))
        edfio.Edf([], annotations=annotations).write(
            tmp_path / f"{name}EC-Hypnogram.edf"
        )
        return tmp_path / f"{name}E0-PSG.edf"

    return write


def test_epochs_and_stages(record):
    """Epochs lie side by side, stages 3 and 4 are one, unknown ones are left out."""
    bunch = read_sleep_edf(record(channels=("EEG Fpz-Cz", "EOG horizontal")))
    assert bunch.modalities == {"eeg_fpz_cz": 300, "eog_horizontal": 300}
    assert bunch.data.shape == (7, 600) and bunch.data.dtype == np.float32
    assert bunch.target.tolist() == [0, 1, 2, 3, 3, 4, 2]
    assert bunch.target_names == ["W", "N1", "N2", "N3", "REM"]
    assert bunch.left_out == {"?": 1}
    assert_array_equal(bunch.onset, [0, 30, 60, 90, 120, 150, 210])
    assert set(bunch.record) == {"SC4001E0"}
    signal = np.linspace(-100, 100, 8 * 300).reshape(8, 300)
    # 16 bits over a range of 800 leave an error of 0.01.
    assert_allclose(bunch.data[:, :300], np.delete(signal, 6, axis=0), atol=0.02)
    assert_allclose(bunch.data[:, 300:], 2 * bunch.data[:, :300], atol=0.04)


def test_one_annotation_for_many_epochs(record):
    """A long annotation covers all its epochs, as far as the signal goes."""
    path = record(stages=["W", "2", "R"], seconds=90.0, n_epochs=8)
    bunch = read_sleep_edf(path)
    assert bunch.target.tolist() == [0, 0, 0, 2, 2, 2, 4, 4]
    assert bunch.left_out == {"beyond the signal": 1}
    longer = read_sleep_edf(record(stages=["W", "2"], n_epochs=5))
    assert longer.target.tolist() == [0, 2] and longer.left_out == {"unscored": 3}


def test_recordings_of_a_folder(record, tmp_path):
    """All pairs of a folder; a channel that a recording lacks is a missing modality."""
    pytest.importorskip("pandas")
    record("SC4001", channels=("EEG Fpz-Cz", "EMG"))
    record("SC4011", channels=("EEG Fpz-Cz",), stages=["W", "W"])
    bunch = read_sleep_edf(tmp_path)
    assert bunch.record.tolist() == ["SC4001E0"] * 7 + ["SC4011E0"] * 2
    assert np.isnan(bunch.data[7:, 300:]).all()
    assert (
        not np.isnan(bunch.data[:7]).any() and not np.isnan(bunch.data[:, :300]).any()
    )
    X, y = read_sleep_edf(
        tmp_path, channels=["EMG", "eeg_fpz_cz"], return_X_y=True, as_frame=True
    )
    assert X.columns[0] == "emg__0" and X.columns[300] == "eeg_fpz_cz__0"
    assert len(y) == 9


def test_channels_of_different_rates(record, tmp_path):
    """Slow channels get fewer columns."""
    edfio = pytest.importorskip("edfio")
    path = record()
    signals = [
        edfio.EdfSignal(np.arange(2400.0), 10, label="EEG Fpz-Cz"),
        edfio.EdfSignal(np.arange(240.0), 1, label="Temp rectal"),
    ]
    edfio.Edf(signals, data_record_duration=30).write(path)
    bunch = read_sleep_edf(path)
    assert bunch.modalities == {"eeg_fpz_cz": 300, "temp_rectal": 30}
    assert read_sleep_edf(path, epoch_seconds=30.0).data.shape == (7, 330)


def test_refusals(record, tmp_path):
    """Errors name the file, what was found and what was wanted."""
    with pytest.raises(FileNotFoundError, match=r"wanted files \*-PSG.edf, found none"):
        read_sleep_edf(tmp_path)
    with pytest.raises(
        FileNotFoundError, match="wanted a file or a folder, found noth"
    ):
        read_sleep_edf(tmp_path / "none.edf")
    path = record()
    with pytest.raises(ValueError, match="found none of the channels wanted, \\['EMG'"):
        read_sleep_edf(path, channels=["EMG"])
    with pytest.raises(
        ValueError, match="wanted the channel 'EMG', which no recording"
    ):
        read_sleep_edf(path, channels=["EEG Fpz-Cz", "EMG"])
    with pytest.raises(ValueError, match="epoch_seconds must be positive; got 0"):
        read_sleep_edf(path, epoch_seconds=0)
    with pytest.raises(
        ValueError, match="has 10 samples a second, wanted a whole numb"
    ):
        read_sleep_edf(path, epoch_seconds=30.01)
    with pytest.raises(
        ValueError, match="'Sleep stage W' starts at 10 s, wanted a mul"
    ):
        read_sleep_edf(record(onset=10.0))
    with pytest.raises(
        ValueError, match=r"Hypnogram.edf: found no scored epoch within"
    ):
        read_sleep_edf(record(stages=["?", "?"]))
    with pytest.raises(ValueError, match="two channels are named 'eeg'"):
        read_sleep_edf(record(channels=("EEG", "EEG ")))
    record("SC4011", channels=("EEG Fpz-Cz",), rate=20)
    record("SC4001", channels=("EEG Fpz-Cz",), rate=10)
    with pytest.raises(ValueError, match="has 600 samples an epoch, wanted 300 as in"):
        read_sleep_edf(tmp_path)
    path.write_bytes(b"no EDF")
    with pytest.raises(ValueError, match="PSG.edf: wanted an EDF file, cannot read it"):
        read_sleep_edf(path)
    (tmp_path / "SC4001EC-Hypnogram.edf").unlink()
    with pytest.raises(FileNotFoundError, match=r"wanted one file SC4001E\*-Hypnogram"):
        read_sleep_edf(path)


def test_missing_reader_is_told(monkeypatch, tmp_path):
    """Without edfio the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "edfio", None)
    with pytest.raises(ImportError, match=r'pip install "skmissing\[datasets\]"'):
        read_sleep_edf(tmp_path)
