"""Mean of isotonic regression over a window, by scikit-learn. Writes accuracy.json."""

import json
import pathlib

import numpy as np
from sklearn.isotonic import IsotonicRegression

rng = np.random.default_rng(3)
cases = []
for m, n, digits in [(200, 50, 7), (300, 40, 2)]:
    confidence = rng.uniform(0.5, 1, m).astype(np.float32).round(digits)
    right = rng.uniform(size=m) < confidence**2
    window = rng.uniform(0.4, 1, n).astype(np.float32).round(digits)
    # As f64: scikit-learn takes f32 values that are close to each other for one.
    regression = IsotonicRegression(out_of_bounds="clip")
    regression.fit(confidence.astype(np.float64), right.astype(np.float64))
    cases.append(
        {
            "confidence": [float(x) for x in confidence],
            "right": right.tolist(),
            "window": [float(x) for x in window],
            "accuracy": regression.predict(window.astype(np.float64)).mean(),
        }
    )
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases))
