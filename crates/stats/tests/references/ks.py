"""The two-sample Kolmogorov-Smirnov test, by SciPy. Writes ks.json."""

import json
import pathlib

import numpy as np
from scipy import special, stats

rng = np.random.default_rng(2)
cases = []
for m, n, shift, ties in [(60, 20, 0.3, False), (97, 50, 0.0, False), (200, 40, 1.0, True), (80, 80, 0.5, False), (12, 1, 0.0, False)]:
    b = rng.normal(size=m).astype(np.float32)
    w = (rng.normal(size=n) + shift).astype(np.float32)
    if ties:
        b, w = np.maximum(b, 0).round(1), np.maximum(w, 0).round(1)
    d = stats.ks_2samp(b, w).statistic
    root = np.sqrt(m * n / (m + n))
    cases.append(
        {
            "baseline": [float(x) for x in b],
            "window": [float(x) for x in w],
            "distance": d,
            "p_value": special.kolmogorov((root + 0.12 + 0.11 / root) * d),
            "asymptotic": stats.ks_2samp(b, w, method="asymp").pvalue,
        }
    )
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases))
