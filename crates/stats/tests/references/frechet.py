"""Writes frechet.json: Fréchet distances by SciPy, and by the formula of DriftLens with scikit-learn's PCA."""

import json
from pathlib import Path

import numpy as np
from scipy.linalg import sqrtm
from sklearn.decomposition import PCA

random = np.random.default_rng(7)


def distance(a, b, squared=True):
    covariances = [np.cov(side, rowvar=False) for side in (a, b)]
    root = np.real(sqrtm(covariances[0] @ covariances[1]))
    length = np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))
    return (length**2 if squared else length) + np.trace(covariances[0] + covariances[1] - 2 * root)


def case(baseline, window, components):
    a, b = (np.round(side, 3).astype(np.float32) for side in (baseline, window))
    exact = [side.astype(np.float64) for side in (a, b)]
    pca = PCA(components).fit(exact[0])
    return {
        "dim": a.shape[1],
        "baseline": [round(float(value), 3) for value in a.ravel()],
        "window": [round(float(value), 3) for value in b.ravel()],
        "frechet": distance(*exact),
        "components": components,
        "driftlens": distance(*(pca.transform(side) for side in exact), squared=False),
    }


mix = random.normal(size=(6, 6))
cases = [
    case(random.normal(size=(60, 6)) @ mix, random.normal(size=(40, 6)) @ mix + 0.5, 3),
    case(5 + random.normal(size=(30, 12)), 5.2 + 1.5 * random.normal(size=(25, 12)), 7),
    case(random.normal(size=(20, 3)) * [1, 10, 100], random.normal(size=(50, 3)) * [2, 5, 90], 2),
]
Path(__file__).with_suffix(".json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
