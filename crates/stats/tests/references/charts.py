"""Control charts in plain NumPy: alarms on one series, and mean run lengths. Writes charts.json."""

import json
import pathlib

import numpy as np

WARM_UP = 30


def cusum(series, k, h):
    """Page 1954, two-sided."""
    alarms, up, down = [], 0.0, 0.0
    for at, x in enumerate(series):
        up, down = max(0.0, up + x - k), max(0.0, down - x - k)
        if max(up, down) > h:
            alarms.append(at)
            up = down = 0.0
    return alarms


def ewma(series, weight, limit):
    """Roberts 1959, with the exact variance of each average."""
    alarms, z, t = [], 0.0, 0
    for at, x in enumerate(series):
        t += 1
        z = weight * x + (1 - weight) * z
        if abs(z) > limit * np.sqrt(weight / (2 - weight) * (1 - (1 - weight) ** (2 * t))):
            alarms.append(at)
            z, t = 0.0, 0
    return alarms


def page_hinkley(series, delta, limit):
    """Hinkley 1971, two-sided: whole sums, and their least and greatest values, over each stretch between alarms."""
    alarms, start = [], 0
    while True:
        stretch = np.asarray(series[start:])
        mean = np.cumsum(stretch) / np.arange(1, len(stretch) + 1)
        off = (stretch - mean)[WARM_UP:]
        rise = np.concatenate([[0.0], np.cumsum(off - delta)])
        fall = np.concatenate([[0.0], np.cumsum(off + delta)])
        above = (rise - np.minimum.accumulate(rise) > limit) | (np.maximum.accumulate(fall) - fall > limit)
        if not above.any():
            return alarms
        start += WARM_UP + int(above.argmax())
        alarms.append(start - 1)


def page_hinkley_run_length(rng, delta, limit, shift=0.0, after=0, streams=20_000):
    """Numbers up to an alarm on normal series, whose mean shifts after `after` of them: the mean, and its standard error."""
    mean, up, down = np.zeros((3, streams))
    lengths = np.zeros(streams)
    t = 0
    while (lengths == 0).any():
        t += 1
        x = rng.normal(size=streams) + (shift if t > after else 0.0)
        mean += (x - mean) / t
        if t > WARM_UP:
            up = np.maximum(0, up + x - mean - delta)
            down = np.maximum(0, down - (x - mean) - delta)
        lengths[(lengths == 0) & (np.maximum(up, down) > limit)] = t
    # Those that alarmed before the shift are no answer to it.
    lengths = lengths[lengths > after] - after
    return lengths.mean(), lengths.std() / np.sqrt(len(lengths))


if __name__ == "__main__":
    rng = np.random.default_rng(4)
    # In control, a step up, a slow fall, and wide numbers.
    series = np.concatenate(
        [
            rng.normal(size=400),
            rng.normal(size=150) + 1.0,
            rng.normal(size=250) - np.linspace(0, 2, 250),
            2.0 * rng.normal(size=200),
        ]
    ).round(4)
    in_control = page_hinkley_run_length(rng, 0.1, 15.0)
    shifted = page_hinkley_run_length(rng, 0.1, 15.0, shift=1.0, after=200)
    print("Page-Hinkley 0.1, 15:", in_control, "in control,", shifted, "after a shift by 1 at 200")
    reference = {
        "series": series.tolist(),
        "cusum": [{"k": k, "h": h, "alarms": cusum(series, k, h)} for k, h in [(0.5, 5.0), (0.25, 8.0)]],
        "ewma": [{"weight": w, "limit": l, "alarms": ewma(series, w, l)} for w, l in [(0.2, 2.962), (0.05, 2.5)]],
        "page_hinkley": [
            {"delta": d, "limit": l, "alarms": page_hinkley(series, d, l)} for d, l in [(0.1, 15.0), (0.3, 8.0)]
        ],
        "page_hinkley_run_length": in_control[0],
        "page_hinkley_delay": shifted[0],
    }
    pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(reference))
    for name in ["cusum", "ewma", "page_hinkley"]:
        print(name, reference[name])
