"""Writes classifier.json: areas under ROC curves by scikit-learn."""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

random = np.random.default_rng(5)


def case(baseline, window):
    labels = np.r_[np.zeros(len(baseline)), np.ones(len(window))]
    area = roc_auc_score(labels, np.r_[baseline, window].astype(np.float32))
    return {"baseline": baseline.tolist(), "window": window.tolist(), "area": area}


cases = [
    case(random.normal(size=70).round(4), (0.5 + random.normal(size=45)).round(4)),
    # With many equal scores.
    case(random.integers(-3, 4, size=90), random.integers(-4, 4, size=33)),
    case(np.zeros(5), np.ones(3)),
    case(np.ones(4), np.ones(6)),
]
Path(__file__).with_suffix(".json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")
