"""scikit-learn's checks for ModalityAmputer beyond its default parameters.

What a mask must depend on by its nature (all rows given, their order, the phase) is
excused here, parameter by parameter, with the reason.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmissing.simulate import ModalityAmputer, OneMissing

EXACT = "exact counts over the rows given are what the parameter asks for"
ORDER = "runs of consecutive rows need the order of the rows"
PHASE = "fit_transform and transform are asked to hide different things"

EXCUSED = {
    "exact": {"check_methods_subset_invariance": EXACT},
    "burst": {
        "check_methods_subset_invariance": ORDER,
        "check_methods_sample_order_invariance": ORDER,
    },
    "phase": {
        "check_transformer_general": PHASE,
        "check_transformer_data_not_an_array": PHASE,
    },
    "none": {},
}

CASES = [
    (ModalityAmputer((0.5, 0.5), random_state=0), "none"),
    (ModalityAmputer("0.7", allow_empty=True, random_state=0), "none"),
    (ModalityAmputer(OneMissing(0.7, exact=False), random_state=0), "none"),
    (ModalityAmputer(OneMissing(0.7), random_state=0), "exact"),
    (ModalityAmputer(mechanism="mar", driver=0, random_state=0), "none"),
    (ModalityAmputer(mechanism="mnar", strength=2.0, random_state=0), "none"),
    (ModalityAmputer(mechanism="group", driver=0, random_state=0), "none"),
    (ModalityAmputer(mechanism="burst", random_state=0), "burst"),
    (ModalityAmputer(mechanism="label", when="fit", random_state=0), "phase"),
    (ModalityAmputer(when="transform", random_state=0), "phase"),
    (ModalityAmputer(0.2, missing_at_transform=0.8, random_state=0), "phase"),
]
KINDS = {repr(estimator): kind for estimator, kind in CASES}


def excused(estimator):
    """Checks that cannot hold for an instance, with the reason."""
    return EXCUSED[KINDS[repr(estimator)]]


# A list in the place of the generator that scikit-learn before 1.9 hands to pytest.
CHECKS = list(
    parametrize_with_checks(
        [estimator for estimator, _ in CASES], expected_failed_checks=excused
    ).args[1]
)


# A group or a class that is met in a few rows only, and constant columns, are told.
@pytest.mark.filterwarnings("ignore:.* rows have a group that fit did not see")
@pytest.mark.filterwarnings("ignore:All rows have the same (class|group)")
@pytest.mark.filterwarnings("ignore:.* modalities that should drive the mechanism")
@pytest.mark.parametrize("estimator, check", CHECKS)
def test_estimator_checks(estimator, check):
    """scikit-learn's checks pass, or fail for the reason given."""
    check(estimator)
