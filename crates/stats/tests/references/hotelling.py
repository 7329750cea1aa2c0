"""Moments, shrinkage and Hotelling's distance by NumPy, SciPy and scikit-learn, for hotelling.rs. Prints JSON."""
import json

import numpy as np
from scipy import stats
from sklearn.covariance import empirical_covariance, ledoit_wolf

rng = np.random.default_rng(5)
baseline = (rng.standard_t(5, (60, 4)) @ rng.normal(size=(4, 4)) + 3).astype(np.float32)
window = (rng.standard_t(5, (25, 4)) + 3.5).astype(np.float32)
rows = baseline.astype(np.float64)
shrunk, shrinkage = ledoit_wolf(rows)
sides = [side.astype(np.float64) for side in (baseline, window)]
n, m = len(window), len(baseline)
every = np.vstack(sides)
total, share = ledoit_wolf(every)
difference = sides[1].mean(0) - sides[0].mean(0)
within = total - (1 - share) * n * m / (n + m) ** 2 * np.outer(difference, difference)
print(json.dumps({
    "baseline": baseline.ravel().tolist(),
    "window": window.ravel().tolist(),
    "mean": rows.mean(0).tolist(),
    "covariance": empirical_covariance(rows).ravel().tolist(),
    "ledoit_wolf": shrunk.ravel().tolist(),
    "shrinkage": shrinkage,
    "distance": float(np.sqrt(difference @ np.linalg.solve(within, difference))),
    "jsd_p_value": float(stats.chi2.sf(8 * 0.05**2 / (1 / 1000 + 1 / 5000), 4)),
}))
