"""Distances between histograms and the G-test, by NumPy and SciPy. Writes counts.json."""

import json
import pathlib

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

rng = np.random.default_rng(1)


def g_test(table):
    found = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    return {"statistic": found.statistic, "degrees": found.dof, "p_value": found.pvalue}


cases = []
for bins, m, n in [(2, 40, 90), (5, 500, 200), (10, 5000, 1000), (10, 3000, 400)]:
    p, q = rng.dirichlet(np.full(bins, 5.0)), rng.dirichlet(np.full(bins, 5.0))
    b, w = rng.multinomial(m, p), rng.multinomial(n, q)
    if bins == 5:
        b[1] = 0
    p, q = b / b.sum(), w / w.sum()
    one = (b + 1) / (b + 1).sum(), (w + 1) / (w + 1).sum()
    case = {
        "baseline": b.tolist(),
        "window": w.tolist(),
        "jsd": jensenshannon(p, q),
        "psi": np.sum((one[1] - one[0]) * np.log(one[1] / one[0])),
        "kl": stats.entropy(one[1], one[0]),
        "hellinger": np.sqrt(1 - np.sum(np.sqrt(p * q))),
        "total-variation": np.abs(p - q).sum() / 2,
        "bias_corrected_jsd": jensenshannon(p, q) ** 2 - (bins - 1) / 8 * (1 / b.sum() + 1 / w.sum()),
        "g_test": g_test([b, w]),
    }
    cases.append(case)

# Bins that expect fewer than 5 rows are merged: those of fewer than 39 rows, and of fewer than 60.
merged = [
    {
        "baseline": [90, 20, 60, 10, 18, 2, 0],
        "window": [10, 5, 8, 4, 2, 1, 0],
        "g_test": g_test([[90, 60, 50], [10, 8, 12]]),
    },
    {
        "baseline": [40, 50, 60, 70],
        "window": [2, 3, 5, 10],
        "g_test": g_test([[90, 60, 70], [5, 5, 10]]),
    },
    {
        "baseline": [50, 51, 52, 53, 54],
        "window": [4, 4, 4, 6, 2],
        "g_test": g_test([[101, 159], [8, 12]]),
    },
]
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps({"cases": cases, "merged": merged}, indent=1))
