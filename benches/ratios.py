"""Markdown tables of what Criterion measured last: units/s from the medians, and ratios to the peers.

    cargo bench -p benches -- embed
    python benches/ratios.py [target/criterion]

The folder keeps results until they are measured again, those of other versions too: remove it for a table of one run.
"""

import json
import pathlib
import sys

# The first part of an id, and whose ratio to each of the others is shown.
TABLES = {"embed": "candle", "sink_local": "local"}


def results(folder):
    """Group id -> name -> units/s."""
    groups = {}
    for file in folder.glob("*/*/new/benchmark.json"):
        benchmark = json.loads(file.read_text())
        name, throughput = benchmark["function_id"], benchmark["throughput"] or {}
        # Results of older benches may lie there that had no name or counted nothing.
        if name and "Elements" in throughput:
            estimates = json.loads((file.parent / "estimates.json").read_text())
            seconds = estimates["median"]["point_estimate"] / 1e9
            groups.setdefault(benchmark["group_id"], {})[name] = throughput["Elements"] / seconds
    return groups


def show(groups, ours):
    """One row for each group; the parts of its id, such as `batch 8`, are the first columns."""
    peers = sorted({name for rates in groups.values() for name in rates} - {ours})
    keys = [part.rsplit(" ", 1) for part in next(iter(groups)).split("/")[1:]]
    header = [key for key, _ in keys] + [ours, *peers] + [f"{ours} / {peer}" for peer in peers]
    print(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}")
    numbers = lambda group: [int(part.rsplit(" ", 1)[1]) for part in group.split("/")[1:]]
    for group in sorted(groups, key=lambda group: numbers(group)[::-1]):
        rates = groups[group]
        cells = [f"{number:,}" for number in numbers(group)]
        cells += [f"{rates[name]:,.0f}" if name in rates else "" for name in [ours, *peers]]
        cells += [f"{rates[ours] / rates[peer]:.2f}" if {ours, peer} <= rates.keys() else "" for peer in peers]
        print(f"| {' | '.join(cells)} |")
    print()


groups = results(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/criterion"))
for table, ours in TABLES.items():
    selected = {group: rates for group, rates in groups.items() if group.split("/")[0] == table}
    if selected:
        print(f"{table}: units/s\n")
        show(selected, ours)
