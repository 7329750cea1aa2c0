"""Maximum mean discrepancy, energy, sliced Wasserstein and centroid distances with NumPy and SciPy, as distributions.json."""

import json
import pathlib

import numpy
import scipy.spatial.distance
import scipy.stats


def mmd(baseline, window):
    distances = lambda a, b: scipy.spatial.distance.cdist(a, b)
    sigma = numpy.median(scipy.spatial.distance.pdist(baseline))
    kernel = lambda a, b: numpy.exp(-distances(a, b) ** 2 / (2 * sigma**2))
    m, n = len(baseline), len(window)
    within = lambda rows: kernel(rows, rows)[~numpy.eye(len(rows), dtype=bool)].mean()
    value = within(baseline) + within(window) - 2 * kernel(baseline, window).mean()
    return sigma, value


def energy(baseline, window):
    mean = lambda a, b: scipy.spatial.distance.cdist(a, b).mean()
    value = 2 * mean(baseline, window) - mean(baseline, baseline) - mean(window, window)
    if baseline.shape[1] == 1:
        expected = scipy.stats.energy_distance(baseline[:, 0], window[:, 0]) ** 2
        assert abs(value - expected) < 1e-12
    return value


def wasserstein(baseline, window, directions):
    along = lambda direction: (baseline @ direction, window @ direction)
    distance = lambda a, b: scipy.stats.wasserstein_distance(a / a.std(), b / a.std())
    return numpy.mean([distance(*along(direction)) for direction in directions])


random = numpy.random.default_rng(7)
random_directions = numpy.random.default_rng(8)
cases = []
# Shapes that fill a tile of 256 rows and ones that do not; large means, which cost digits.
for m, n, dim, shift, mean in [(9, 6, 3, 0.5, 0), (300, 7, 2, 0.2, 1000), (5, 270, 2, 0, -3), (40, 30, 1, 0.4, 0)]:
    rows = lambda count, shift: (random.normal(mean + shift, 1, (count, dim))).round(3).astype("f4")
    baseline, window = rows(m, 0), rows(n, shift)
    copies = min(m, n) // 3
    window[:copies] = baseline[:copies]
    exact = baseline.astype("f8"), window.astype("f8")
    means = [rows.mean(axis=0) for rows in exact]
    directions = random_directions.normal(size=(10, dim))
    directions /= numpy.linalg.norm(directions, axis=1, keepdims=True)
    sigma, value = mmd(*exact)
    cases.append(
        {
            "dim": dim,
            "baseline": baseline.ravel().tolist(),
            "window": window.ravel().tolist(),
            "sigma": sigma,
            "mmd": value,
            "energy": energy(*exact),
            "directions": directions.ravel().tolist(),
            "wasserstein": wasserstein(*exact, directions),
            "euclidean": scipy.spatial.distance.euclidean(*means),
            "cosine": scipy.spatial.distance.cosine(*means),
        }
    )
for case in cases:
    for key in ("baseline", "window"):
        case[key] = [round(value, 4) for value in case[key]]
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")
