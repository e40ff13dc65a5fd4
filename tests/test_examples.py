"""Examples that take a few seconds run; the gallery runs the others."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize(
    "name, needs, printed",
    [
        ("plot_02_clinical_tables", "skmissing", "area under the ROC curve: 0.9"),
        ("plot_03_single_cells", "mudata", "protein:\t580"),
        ("plot_04_service", "skops", "modality must be one of"),
        ("plot_05_texts_images_numbers", "transformers", "'image': 32, 'numbers': 2"),
        ("plot_06_skrub", "skrub", "PerModality      {'visit': 0, 'notes': 90"),
        ("plot_15_skore", "skore", "fourier + gradients + profiles    "),
    ],
)
def test_example_runs(name, needs, printed, capsys):
    pytest.importorskip(needs)
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert printed in capsys.readouterr().out
