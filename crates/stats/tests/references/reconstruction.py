"""Writes reconstruction.json: errors of a PCA that keeps 65 % of the variance of standardised rows, by scikit-learn."""

import json
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

random = np.random.default_rng(3)


def case(baseline, window):
    a, b = (np.round(side, 3).astype(np.float32) for side in (baseline, window))
    scaler = StandardScaler().fit(a.astype(np.float64))
    pca = PCA(0.65, svd_solver="full").fit(scaler.transform(a.astype(np.float64)))
    rows = scaler.transform(b.astype(np.float64))
    errors = np.linalg.norm(rows - pca.inverse_transform(pca.transform(rows)), axis=1)
    return {
        "dim": a.shape[1],
        "baseline": [round(float(value), 3) for value in a.ravel()],
        "window": [round(float(value), 3) for value in b.ravel()],
        "components": int(pca.n_components_),
        "errors": errors.tolist(),
    }


mix = random.normal(size=(3, 7))
constant = random.normal(size=(25, 4)) * [1, 0, 3, 9] + 2
cases = [
    case(random.normal(size=(40, 3)) @ mix + 3 + random.normal(size=(40, 7)), random.normal(size=(15, 7)) * 2 + 3),
    case(random.normal(size=(50, 12)), random.normal(size=(10, 12)) + 1),
    case(constant, constant[:8] + 0.5),
]
Path(__file__).with_suffix(".json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
