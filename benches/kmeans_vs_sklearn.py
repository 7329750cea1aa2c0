"""k-means of driftline beside scikit-learn's, on the same rows, in turns.

    cargo build --release -p driftline-benches
    python benches/kmeans_vs_sklearn.py target/release/kmeans [rows.parquet]

Rows come from a file of `driftline embed`, or are 50,000 x 128 values around 20 centres. Needs numpy and scikit-learn;
pyarrow for a file of rows.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import sklearn
from sklearn.cluster import KMeans

K = 10
STARTS = 8  # as many as driftline's default
REPEATS = 5


def rows():
    if len(sys.argv) > 2:
        import pyarrow.parquet as pq

        column = pq.read_table(sys.argv[2], columns=["embeddings"])["embeddings"].combine_chunks()
        return np.ascontiguousarray(column.flatten().to_numpy().reshape(len(column), -1), np.float32)
    random = np.random.default_rng(7)
    centres = random.normal(size=(20, 128))
    return (centres[np.arange(50_000) % 20] + random.normal(size=(50_000, 128))).astype(np.float32)


def main():
    data = rows()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "rows.f32")
        data.tofile(file)
        runs = {"driftline": [], f"scikit-learn, n_init={STARTS}": [], "scikit-learn, n_init=1": []}
        for repeat in range(REPEATS):
            output = subprocess.check_output([sys.argv[1], file, str(data.shape[1]), str(K)])
            runs["driftline"].append(json.loads(output))
            for starts in (STARTS, 1):
                start = time.perf_counter()
                model = KMeans(K, n_init=starts, random_state=repeat).fit(data)
                seconds = time.perf_counter() - start
                run = {"seconds": seconds, "inertia": float(model.inertia_)}
                runs[f"scikit-learn, n_init={starts}"].append(run)
    print(f"{data.shape[0]} x {data.shape[1]}, k = {K}, {os.cpu_count()} cores, median of {REPEATS}, ", end="")
    print(f"scikit-learn {sklearn.__version__}; driftline makes {STARTS} starts")
    median = lambda name, key: statistics.median(run[key] for run in runs[name])
    for name in runs:
        seconds, inertia = median(name, "seconds"), median(name, "inertia")
        ratio = seconds / median("driftline", "seconds")
        print(f"{name:24} {seconds:7.3f} s  {ratio:5.2f} x  inertia {inertia:.6g}")


main()
