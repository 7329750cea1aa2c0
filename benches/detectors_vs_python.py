"""Which drift do other detectors see on the embeddings that driftline sees? Share of windows flagged, for each corruption.

    python benches/detectors_vs_python.py CELLS [-o peers.json] [--driftline power.json]
    python benches/detectors_vs_python.py --report -o peers.json --driftline power.json
    python benches/detectors_vs_python.py --by-statistic power.json...

benches/detectors.sh installs and makes what it takes, and calls it.

CELLS is a folder of row files of `driftline embed`: `clean.parquet`, and a `NAME-SEVERITY.parquet` for each corruption, with
the same images in the same order. The baseline is a part of the clean rows that a seed chooses. Windows are drawn from
the other rows, so no image is in both; every detector gets the same baseline and the same windows. Every detector is also
asked about clean windows: one that flags more than 10 % of them is shown, but is never the best peer of a cell.

A detector is used as its documentation says, with its defaults where the name does not say otherwise. Evidently's
methods are called without the report around them, whose picture takes longer than the verdict. DataEval's
DriftReconstruction is left out: it needs a model of its own.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import time
import warnings
from collections import namedtuple

import numpy as np

Rows = namedtuple("Rows", "embeddings scores")
VALID = 0.10  # more false alarms than this, and a detector is no peer
NEAR = 0.05  # less than this below the best peer counts as equal
PERMUTATIONS = 100
NOT_SCORES = {"event_id", "timestamp", "embeddings", "target", "image_url", "image_number", "window"}


def read(file):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    column = table["embeddings"].combine_chunks()
    embeddings = column.flatten().to_numpy().reshape(len(column), -1)
    names = [field.name for field in table.schema if field.name not in NOT_SCORES and pa.types.is_floating(field.type)]
    scores = np.stack([table[name].to_numpy() for name in names], 1) if names else np.empty((len(column), 0))
    return Rows(*(np.ascontiguousarray(values, np.float32) for values in (embeddings, scores)))


# Every detector is a function of a baseline that gives a function of a window that says whether it has drifted.


def evidently(method, **options):
    def fit(baseline, alpha):
        import pandas as pd
        from evidently.legacy.metrics.data_drift import embedding_drift_methods as methods

        frame = pd.DataFrame(baseline.embeddings)
        detect = getattr(methods, method)(**options)
        # The method `model` writes into both frames.
        return lambda window: detect(pd.DataFrame(window.embeddings), frame.copy())[1]

    return fit


def alibi(detector, what="embeddings", **options):
    def fit(baseline, alpha):
        import alibi_detect.cd
        import torch

        torch.set_num_threads(min(2, os.cpu_count()))
        if detector == "ClassifierDrift":
            from sklearn.linear_model import LogisticRegression

            options["model"] = LogisticRegression(max_iter=1000)
        fitted = getattr(alibi_detect.cd, detector)(getattr(baseline, what), p_val=alpha, **options)
        return lambda window: fitted.predict(getattr(window, what))["data"]["is_drift"]

    return fit


def dataeval(detector, **options):
    def fit(baseline, alpha):
        import dataeval.config
        import dataeval.shift

        dataeval.config.set_max_processes(1)  # LightGBM waits busily for cores that others use
        if "threshold" not in options and detector not in ("DriftWasserstein", "DriftDomainClassifier"):
            options["p_val"] = alpha
        reference = (baseline.embeddings,)
        if detector == "DriftWasserstein":  # wants clean rows of its own, best as many as a window has
            reference = (baseline.embeddings[:-100], baseline.embeddings[-100:])
        fitted = getattr(dataeval.shift, detector)(**options).fit(*reference)
        return lambda window: fitted.predict(window.embeddings).drifted

    return fit


# Asked in every cell.
FAST = {
    "dataeval DriftUnivariate ks": dataeval("DriftUnivariate"),
    "dataeval DriftUnivariate cvm": dataeval("DriftUnivariate", method="cvm"),
    "dataeval DriftUnivariate mwu": dataeval("DriftUnivariate", method="mwu"),
    "dataeval DriftUnivariate mwu, fdr": dataeval("DriftUnivariate", method="mwu", correction="fdr"),
    "dataeval DriftKNeighbors": dataeval("DriftKNeighbors"),
    "dataeval DriftWasserstein": dataeval("DriftWasserstein"),
    "alibi KSDrift, class scores": alibi("KSDrift", "scores"),
    "evidently distance": evidently("distance"),
    "evidently ratio": evidently("ratio"),
}
SLOW = {
    "evidently model": evidently("model"),
    "evidently mmd": evidently("mmd"),
    "evidently distance, bootstrap": evidently("distance", bootstrap=True),
    "alibi KSDrift": alibi("KSDrift"),
    "alibi KSDrift, fdr": alibi("KSDrift", correction="fdr"),
    "alibi ClassifierDrift": alibi("ClassifierDrift", backend="sklearn", preds_type="probs"),
    "evidently model, bootstrap": evidently("model", bootstrap=True),
}
# Seconds for a window with a large baseline: --slow-baseline gives them fewer rows.
SLOWEST = {
    "alibi MMDDrift": alibi("MMDDrift", backend="pytorch", device="cpu", n_permutations=PERMUTATIONS),
    "dataeval DriftMMD": dataeval("DriftMMD", device="cpu", n_permutations=PERMUTATIONS),
    "dataeval DriftDomainClassifier": dataeval("DriftDomainClassifier"),
}


def cells(folder):
    """(name, severity) of every file."""
    stems = [file.stem.rpartition("-") for file in folder.glob("*-*.parquet")]
    return sorted((name, int(severity)) for name, dash, severity in stems if name and severity.isdigit())


def versions():
    names = ("evidently", "alibi-detect", "dataeval", "numpy", "scipy", "scikit-learn", "torch")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def best(result, cell):
    """Power and name of the best detector of a cell among those that are right about clean windows."""
    peers = result["peers"]
    powers = [(peer["cells"][cell], name) for name, peer in peers.items() if peer["valid"] and cell in peer["cells"]]
    return max(powers, default=(0.0, "none"))


def compare(arguments, ours):
    folder = pathlib.Path(arguments.cells)
    clean = read(folder / "clean.parquet")
    order = np.random.default_rng(arguments.seed).permutation(len(clean.embeddings))
    chosen, others = order[: arguments.baseline], order[arguments.baseline :]
    draw = lambda count, seed: [np.random.default_rng((seed, i)).choice(others, arguments.rows, False) for i in range(count)]
    clean_windows, windows = draw(arguments.clean_windows, 1), draw(arguments.windows, 2)
    take = lambda rows, window: Rows(*(values[window] for values in rows))

    output = pathlib.Path(arguments.output)
    result = {"versions": versions(), "seed": arguments.seed, "rows": arguments.rows, "alpha": arguments.alpha}
    result |= {"baseline_rows": arguments.baseline, "slow_baseline_rows": arguments.slow_baseline, "peers": {}}
    if output.exists():
        before = json.loads(output.read_text())
        different = [key for key in result if key not in ("peers", "versions") and before[key] != result[key]]
        if different:
            raise SystemExit(f"{output} was measured with another {', '.join(different)}: name another file")
        result["peers"] = before["peers"]

    detectors = FAST | SLOW | SLOWEST
    asks = lambda name, part: name == part or part not in detectors and part in name
    for name, fit in detectors.items():
        if arguments.only and not any(asks(name, part) for part in arguments.only):
            continue
        slow = name not in FAST
        result["peers"].pop(name, None)
        baseline = take(clean, chosen[: arguments.slow_baseline if name in SLOWEST else arguments.baseline])
        start = time.perf_counter()
        try:
            detect = fit(baseline, arguments.alpha)
        except ModuleNotFoundError as error:
            print(f"{name}: left out, {error}", flush=True)
            continue
        fitted = time.perf_counter() - start
        asked = []

        def share(rows, indices):
            start = time.perf_counter()
            flagged = [bool(detect(take(rows, window))) for window in indices]
            asked.append((len(flagged), time.perf_counter() - start))
            return float(np.mean(flagged))

        peer = {"baseline_rows": len(baseline.embeddings)}
        peer["clean_windows"] = min(arguments.slow_clean_windows if slow else arguments.clean_windows, len(clean_windows))
        peer["false_alarms"] = share(clean, clean_windows[: peer["clean_windows"]])
        peer["valid"] = peer["false_alarms"] <= VALID
        peer["windows"] = min(arguments.slow_windows if slow else arguments.windows, len(windows))
        peer["cells"] = {}
        for transform, severity in cells(folder):
            cell = f"{transform}-{severity}"
            # Nothing changes by a detector that is no peer, nor by a slow one where another flags all windows, nor by one of
            # the slowest where none could be better than driftline.
            settled = (slow or arguments.quick) and best(result, cell)[0] == 1
            settled |= name in SLOWEST and ours.get(cell, 0) >= 1 - NEAR
            if not arguments.all and (not peer["valid"] or settled):
                continue
            peer["cells"][cell] = share(read(folder / f"{cell}.parquet"), windows[: peer["windows"]])
        count, seconds = map(sum, zip(*asked))
        peer["fit_seconds"], peer["seconds_per_window"] = round(fitted, 4), round(seconds / count, 4)
        result["peers"][name] = peer
        output.write_text(json.dumps(result, indent=1))
        print(f"{name}: {peer['false_alarms']:.2f} of clean windows, {seconds:.0f} s", flush=True)
    print()
    return result


def powers(ours):
    """Share of windows that driftline flags, by cell."""
    return {f"{cell['transform']}-{cell['severity']}": cell["power"] for cell in ours.get("cells", [])}


def with_delay(power):
    return f"{power:.2f} ({1 / power:.1f})" if power else "0.00 (never)"


def by_statistic(files):
    """Shares of windows that driftline and each of its statistics flag, for a few drifts and sizes of windows."""
    measured = [json.loads(pathlib.Path(file).read_text()) for file in files]
    names = sorted(measured[0]["false_alarms"]["statistics"])
    print(f"Share of {measured[0]['windows']} windows that the check calls drifted, and that each of its statistics does by itself:\n")
    print(f"| images | drift | check | {' | '.join(f'`{name}`' for name in names)} |")
    print("|" + " --- |" * (len(names) + 3))
    for size in measured:
        for drift in [{"transform": "none", **size["false_alarms"]}, *size["cells"]]:
            shares = [drift["power"], *(drift["statistics"][name] for name in names)]
            print(f"| {size['rows']} | {drift['transform']} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |")


def report(result, ours):
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()), end="; ")
    print(f"windows of {result['rows']} rows, baseline {result['baseline_rows']:,}, alpha {result['alpha']}\n")
    print("| detector | false alarms on clean windows | can be the best peer | mean power there | cells x windows | s/window | s to fit | baseline |")
    print("|" + " --- |" * 8)
    for name, peer in result["peers"].items():
        shares = list(peer["cells"].values())
        row = [name, f"{peer['false_alarms']:.2f} of {peer['clean_windows']}"]
        row += ["yes" if peer["valid"] else f"no: above {VALID:.0%}", f"{np.mean(shares):.3f}" if shares else ""]
        row += [f"{len(shares)} x {peer['windows']}", f"{peer['seconds_per_window']:.3f}", f"{peer['fit_seconds']:.3f}"]
        print(f"| {' | '.join(row)} | {peer['baseline_rows']:,} |")
    measured = powers(ours)
    if measured:
        clean, shares = ours["false_alarms"]["power"], list(measured.values())
        row = ["driftline", f"{clean:.2f} of {ours['windows']}", "", f"{np.mean(shares):.3f}", f"{len(shares)} x {ours['windows']}"]
        print(f"| {' | '.join(row)} | | | {ours['baseline_rows']:,} |")
    print("\nA detector that cannot be the best peer is asked about clean windows only, a slow one only in cells where no detector")
    print(f"asked before flags all windows, and the slowest ({', '.join(SLOWEST)}) only where driftline flags less")
    print(f"than {1 - NEAR:.0%}: no other answer could change the comparison. `--all` asks all of them.\n")

    for key in ("rows", "alpha", "baseline_rows"):
        if key in ours and ours[key] != result[key]:
            print(f"Not comparable: driftline's {key} is {ours[key]}, the peers' {result[key]}.\n")
    names = sorted({cell for peer in result["peers"].values() for cell in peer["cells"]} | set(measured))
    keys = [(cell.rpartition("-")[0], int(cell.rpartition("-")[2])) for cell in names]
    severities = sorted({severity for _, severity in keys})
    print("Share of windows flagged, the others are missed, and in brackets the delay, the number of windows up to the first")
    print("that is flagged, on average: driftline / best peer.\n")
    print(f"| corruption | {' | '.join(f'severity {severity}' for severity in severities)} |")
    print("|" + " --- |" * (len(severities) + 1))
    for transform in sorted({transform for transform, _ in keys}):
        row = [transform]
        for severity in severities:
            cell = f"{transform}-{severity}"
            power, peer = best(result, cell)
            own = with_delay(measured[cell]) if cell in measured else "-"
            row.append(f"{own} / {with_delay(power)} {peer}" if cell in names else "")
        print(f"| {' | '.join(row)} |")
    print()

    peers = [best(result, cell)[0] for cell in names]
    if peers:
        print(f"Best peer of each cell: power of 0.9 or more in {sum(p >= 0.9 for p in peers)} of {len(peers)} cells.")
    single = {name: peer for name, peer in result["peers"].items() if peer["valid"] and len(peer["cells"]) == len(names)}
    if single:
        name = max(single, key=lambda name: np.mean(list(single[name]["cells"].values())))
        values = list(single[name]["cells"].values())
        print(f"Best of those asked in every cell: {name}, 0.9 or more in {sum(v >= 0.9 for v in values)} of {len(values)} cells.")
    if measured:
        reached = sum(power >= 0.9 for power in measured.values())
        print(f"driftline: 0.9 or more in {reached} of {len(measured)} cells ({reached / len(measured):.0%}).")
        behind = [(cell, measured[cell], *best(result, cell)) for cell in names if cell in measured]
        behind = [row for row in behind if row[1] < row[2] - NEAR - 1e-9]
        print(f"driftline is more than {NEAR} below the best peer in {len(behind)} cells{':' if behind else '.'}")
        for cell, own, power, peer in behind:
            print(f"- {cell}: {own:.2f}, {peer} {power:.2f}")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("cells", nargs="?", help="folder with clean.parquet and NAME-SEVERITY.parquet")
parser.add_argument("-o", "--output", default="peers.json", help="what was measured; detectors that it has and that are not asked again are kept")
parser.add_argument("--driftline", help="JSON of driftline's power; the slowest detectors are asked where it leaves room")
parser.add_argument("--report", action="store_true", help="tables of what the output file has, nothing is measured")
parser.add_argument("--by-statistic", nargs="+", metavar="JSON", help="a table of driftline's statistics, nothing is measured")
parser.add_argument("--only", nargs="+", help="names of the detectors to ask, or parts of names")
parser.add_argument("--all", action="store_true", help="ask slow detectors, and those with false alarms, in every cell")
parser.add_argument("--quick", action="store_true", help="ask all detectors as the slow ones: only where none before flags all windows")
parser.add_argument("--windows", type=int, default=40)
parser.add_argument("--slow-windows", type=int, default=40)
parser.add_argument("--clean-windows", type=int, default=100)
parser.add_argument("--slow-clean-windows", type=int, default=100)
parser.add_argument("--rows", type=int, default=100, help="of a window")
parser.add_argument("--baseline", type=int, default=5000)
parser.add_argument("--slow-baseline", type=int, default=5000, help="of the slowest detectors")
parser.add_argument("--alpha", type=float, default=0.05)
parser.add_argument("--seed", type=int, default=7)

arguments = parser.parse_args()
warnings.filterwarnings("ignore")
if arguments.by_statistic:
    by_statistic(arguments.by_statistic)
    raise SystemExit
if not arguments.report and not arguments.cells:
    parser.error("the folder of cells is missing")
output = pathlib.Path(arguments.output)
ours = json.loads(pathlib.Path(arguments.driftline).read_text()) if arguments.driftline else {}
result = json.loads(output.read_text()) if arguments.report else compare(arguments, powers(ours))
report(result, ours)
