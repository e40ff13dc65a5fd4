"""The samples and the model of the page on inspection."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

rng = np.random.RandomState(0)
y = rng.randint(2, size=1000)
columns = ["text__0", "text__1", "audio__0", "audio__1", "image__0", "image__1"]
X = pd.DataFrame(rng.standard_normal((1000, 6)), columns=columns)
X[["text__0", "text__1"]] += 2 * y[:, None]
X[["audio__0", "audio__1"]] += y[:, None]
for prefix, rate in {"audio": 0.3, "image": 0.2}.items():
    X.loc[rng.uniform(size=1000) < rate, [f"{prefix}__0", f"{prefix}__1"]] = np.nan
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(X_train, y_train)
