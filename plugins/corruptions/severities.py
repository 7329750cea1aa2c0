"""Writes settings for `driftline run` with one window for each family and severity, and prints the summary as a table.

    severities.py settings BASELINE EVENTS MODEL > severities.toml
    driftline run -c severities.toml --json > summary.json
    severities.py table summary.json
"""

import json
import sys

FAMILIES = [
    *("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    *("gaussian_blur_c", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "spatter"),
    *("brightness_c", "contrast", "saturate", "elastic_transform", "pixelate", "jpeg_compression"),
]


def settings(baseline, events, model):
    print(f'[model]\npath = "{model}"\n\n[baseline]\nsource = "{baseline}"')
    expressions = ["none"] + [f"{family}(severity={n})" for family in FAMILIES for n in range(1, 6)]
    for expression in expressions:
        name = expression.replace("(severity=", "-").rstrip(")")
        print(f'\n[[windows]]\nname = "{name}"\nsource = "{events}"\ntransform = "{expression}"')


def table(path):
    windows = {window["name"]: window for window in json.load(open(path))["windows"]}
    show = lambda window: f'{100 * window["accuracy"]:.1f} / {window["statistics"]["jsd"]:.3f}'
    print("| family | 1 | 2 | 3 | 4 | 5 |\n| --- | --- | --- | --- | --- | --- |")
    for family in FAMILIES:
        print(f"| `{family}` | " + " | ".join(show(windows[f"{family}-{n}"]) for n in range(1, 6)) + " |")
    print("\nwithout corruption:", show(windows["none"]))
    for family in FAMILIES:
        drift = [windows[f"{family}-{n}"]["statistics"]["jsd"] for n in range(1, 6)]
        if drift != sorted(drift):
            print("not growing:", family, drift)


if __name__ == "__main__":
    {"settings": settings, "table": table}[sys.argv[1]](*sys.argv[2:])
