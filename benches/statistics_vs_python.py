"""Statistics of driftline beside Python's on the same data, in turns: median seconds, and how far the results are apart.

    cargo build --release -p benches --bin statistics
    python benches/statistics_vs_python.py target/release/statistics [rows.parquet]

k-means beside scikit-learn's: rows come from a file of `driftline embed`, or are 50,000 x 128 values around 20 centres.
Jensen-Shannon distance beside scipy's and population stability index beside numpy: 100,000 pairs of histograms of 10 bins.
The exact MMD of 5,000 x 1,000 x 128 with 199 permutations beside alibi-detect's: seconds to fit and test, and the peak memory.
Needs numpy, scipy and scikit-learn; pyarrow for a file of rows; for the MMD what detectors_vs_python.py needs.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy
import sklearn
from scipy.spatial.distance import jensenshannon
from sklearn.cluster import KMeans

K = 10
STARTS = 8  # as many as driftline's default
PAIRS = 100_000
BINS = 10
REPEATS = 5


def rows():
    if len(sys.argv) > 2:
        import pyarrow.parquet as pq

        column = pq.read_table(sys.argv[2], columns=["embeddings"])["embeddings"].combine_chunks()
        return np.ascontiguousarray(column.flatten().to_numpy().reshape(len(column), -1), np.float32)
    random = np.random.default_rng(7)
    centres = random.normal(size=(20, 128))
    return (centres[np.arange(50_000) % 20] + random.normal(size=(50_000, 128))).astype(np.float32)


def driftline(what, data, *arguments):
    with tempfile.NamedTemporaryFile() as file:
        data.tofile(file.name)
        command = [sys.argv[1], what, file.name, *map(str, arguments)]
        return json.loads(subprocess.check_output(command))


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def show(what, program, seconds, ours, result):
    print(f"| {what} | {program} | {seconds:.4f} | {seconds / ours:.2f} | {result} |")


def kmeans():
    data = rows()
    runs = {"driftline": [], f"scikit-learn, `n_init={STARTS}`": [], "scikit-learn, `n_init=1`": []}
    for repeat in range(REPEATS):
        run = driftline("kmeans", data, data.shape[1], K)
        runs["driftline"].append((run["seconds"], run["inertia"]))
        for starts in (STARTS, 1):
            fit = KMeans(K, n_init=starts, random_state=repeat).fit
            seconds, model = timed(lambda: fit(data))
            runs[f"scikit-learn, `n_init={starts}`"].append((seconds, float(model.inertia_)))
    medians = {name: [statistics.median(column) for column in zip(*runs[name])] for name in runs}
    for name, (seconds, inertia) in medians.items():
        what = f"k-means, {data.shape[0]:,} x {data.shape[1]}, k = {K}"
        show(what, name, seconds, medians["driftline"][0], f"inertia {inertia:.6g}")


def psi(baseline, window):
    p, q = ((counts + 1) / (counts + 1).sum(axis=1, keepdims=True) for counts in (baseline, window))
    return ((q - p) * np.log(q / p)).sum(axis=1)


def distances(what, program, function):
    pairs = np.random.default_rng(7).integers(1, 10_000, size=(PAIRS, 2, BINS), dtype=np.uint64)
    baseline, window = pairs[:, 0].astype(float), pairs[:, 1].astype(float)
    ours, theirs = [], []
    for _ in range(REPEATS):
        run = driftline(what, pairs, BINS)
        seconds, values = timed(lambda: function(baseline, window))
        ours.append(run["seconds"])
        theirs.append(seconds)
        difference = np.abs(np.array(run["values"]) - values).max()
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    what = f"{what}, {PAIRS:,} pairs of {BINS} bins"
    show(what, "driftline", ours, ours, "")
    show(what, program, theirs, ours, f"largest difference {difference:.1e}")


def mmd():
    random = np.random.default_rng(7)
    data = random.normal(size=(6_000, 128)).astype(np.float32)
    data[5_000:] += 0.02
    runs = [driftline("mmd", data, 128, 1_000) for _ in range(REPEATS)]
    ours, peak = (statistics.median(run[key] for run in runs) for key in ("seconds", "peak_mb"))
    what = "mmd, 5,000 x 1,000 x 128, 199 permutations"
    result = "squared distance {:.3e}, p {:.3f}".format(runs[0]["value"], runs[0]["p_value"])
    show(what, "driftline", ours, ours, f"{result}, peak memory {peak:.0f} MB")
    try:
        import alibi_detect
        import torch
        from alibi_detect.cd import MMDDrift
    except ModuleNotFoundError as error:
        print(f"\nalibi-detect is left out: {error}")
        return
    torch.set_num_threads(os.cpu_count())
    options = {"backend": "pytorch", "device": "cpu", "n_permutations": 199}
    # Once: it takes minutes, and what it differs by from run to run is small beside the ratio.
    seconds, found = timed(lambda: MMDDrift(data[:5_000], **options).predict(data[5_000:])["data"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    result = f"squared distance {found['distance']:.3e}, p {found['p_val']:.3f}, peak memory {peak:.0f} MB, 1 run"
    show(what, f"alibi-detect {alibi_detect.__version__}", seconds, ours, result)


print(f"numpy {np.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}, ", end="")
print(f"{os.cpu_count()} cores, median of {REPEATS}; driftline's k-means makes {STARTS} starts\n")
print("| what | program | seconds | ratio | result |")
print("| --- | --- | --- | --- | --- |")
kmeans()
distances("jsd", "scipy", lambda baseline, window: jensenshannon(baseline, window, axis=1))
distances("psi", "numpy", psi)
mmd()
