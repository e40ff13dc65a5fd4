from _example import X

from skmissing.inspection import MissingPatternDisplay

MissingPatternDisplay.from_data(X)
