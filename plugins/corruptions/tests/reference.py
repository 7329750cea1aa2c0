"""Compares corruptions with the package imagecorruptions, or with the published formula where that package is broken.

Usage: reference.py FOLDER. FOLDER holds image.raw (u8 96x96x3) and, for each family and severity, FAMILY-SEVERITY.raw
with as many corrupted copies of it as there were rows. Prints a line for each family and ends with 1 on a mismatch.
"""

import math
import pathlib
import sys

import cv2
import imagecorruptions.corruptions
import numpy as np
import scipy.ndimage
import skimage.filters
from imagecorruptions import corrupt

# The package is older than NumPy 2.
np.float_ = np.float64

SIDE = 96

# Our name, its name, and the largest and the mean difference in grey levels that is allowed where nothing is drawn.
FIXED = [
    ("gaussian_blur_c", None, 1, 0.01),
    ("defocus_blur", "defocus_blur", 1, 0.05),
    ("zoom_blur", "zoom_blur", 1, 0.01),
    ("brightness_c", "brightness", 1, 0.01),
    ("contrast", "contrast", 1, 0.01),
    ("saturate", "saturate", 1, 0.01),
    ("pixelate", "pixelate", 1, 0.2),
    ("jpeg_compression", "jpeg_compression", 40, 1.0),
]
# Families that draw, and how many standard errors their statistics may be apart.
DRAWN = [
    ("gaussian_noise", 5),
    ("shot_noise", 5),
    ("impulse_noise", 5),
    ("speckle_noise", 5),
    ("glass_blur", 5),
    ("motion_blur", 5),
    ("snow", 5),
    ("fog", 5),
    ("spatter", 5),
    ("elastic_transform", 5),
]


def glass(image, severity):
    sigma, reach, rounds = [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)][severity - 1]
    blur = lambda x: skimage.filters.gaussian(x, sigma=sigma, channel_axis=-1)
    x = np.uint8(blur(image / 255.0) * 255)
    for _ in range(rounds):
        for h in range(SIDE - reach, reach, -1):
            for w in range(SIDE - reach, reach, -1):
                dx, dy = np.random.randint(-reach, reach, size=2)
                there = (h + dy, w + dx)
                x[h, w], x[there] = x[there].copy(), x[h, w].copy()
    return np.uint8(np.clip(blur(x / 255.0), 0, 1) * 255)


def elastic(image, severity):
    """The formula of ImageNet-C; the package has another one."""
    alpha, sigma, reach = 244 * np.array(
        [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)][severity - 1]
    )
    centre, third = np.float32([SIDE // 2, SIDE // 2]), SIDE // 3
    before = np.float32([centre + third, [centre[0] + third, centre[1] - third], centre - third])
    after = before + np.random.uniform(-reach, reach, size=before.shape).astype(np.float32)
    affine = cv2.getAffineTransform(before, after)
    moved = cv2.warpAffine(image / 255.0, affine, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101)
    draw = lambda: skimage.filters.gaussian(
        np.random.uniform(-1, 1, size=(SIDE, SIDE)), sigma, mode="reflect", truncate=3
    )
    dx, dy = draw()[..., None] * alpha, draw()[..., None] * alpha
    x, y, z = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3))
    sampled = scipy.ndimage.map_coordinates(moved, (y + dy, x + dx, z), order=1, mode="reflect")
    return np.uint8(np.clip(sampled, 0, 1) * 255)


def trimmed_zoom(image, factor):
    """The package takes the upper left of an enlarged image, ImageNet-C its middle."""
    inner = math.ceil(image.shape[0] / factor)
    top = (image.shape[0] - inner) // 2
    part = image[top : top + inner, top : top + inner]
    out = scipy.ndimage.zoom(part, (factor, factor, 1), order=1)
    trim = (out.shape[0] - image.shape[0]) // 2
    return out[trim : trim + image.shape[0], trim : trim + image.shape[1]]


imagecorruptions.corruptions.clipped_zoom = trimmed_zoom


def reference(name, image, severity):
    if name is None:
        sigma = [1, 2, 3, 4, 6][severity - 1]
        return np.uint8(np.clip(skimage.filters.gaussian(image / 255.0, sigma=sigma, channel_axis=-1), 0, 1) * 255)
    if name == "glass_blur":
        return glass(image, severity)
    if name == "elastic_transform":
        return elastic(image, severity)
    return corrupt(image, corruption_name=name, severity=severity)


def statistics(image, changed):
    """Mean, mean size and spread of the change, and how much neighbours differ."""
    delta = changed.astype(float) - image
    rough = np.abs(np.diff(changed.astype(float), axis=1)).mean()
    return np.array([delta.mean(), np.abs(delta).mean(), delta.std(), rough])


def main():
    folder = pathlib.Path(sys.argv[1])
    read = lambda name: np.fromfile(folder / name, dtype=np.uint8).reshape(-1, SIDE, SIDE, 3)
    image = read("image.raw")[0]
    np.random.seed(7)
    wrong = False
    for ours, theirs, largest, mean in FIXED:
        found = [0, 0.0]
        for severity in range(1, 6):
            expected = reference(theirs, image, severity).astype(int)
            delta = np.abs(read(f"{ours}-{severity}.raw")[0].astype(int) - expected)
            if "-v" in sys.argv:
                print(" ", ours, severity, delta.max(), delta.mean())
            found = [max(found[0], delta.max()), max(found[1], delta.mean())]
        bad = found[0] > largest or found[1] > mean
        wrong |= bad
        print(f"{ours}: largest difference {found[0]}, mean {found[1]:.5f}{' TOO LARGE' if bad else ''}")
    for name, limit in DRAWN:
        apart, share = 0.0, 0.0
        for severity in range(1, 6):
            a = np.array([statistics(image, x) for x in read(f"{name}-{severity}.raw")])
            b = np.array([statistics(image, reference(name, image, severity)) for _ in range(len(a))])
            error = np.sqrt(a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b)) + 1e-3
            difference = np.abs(a.mean(axis=0) - b.mean(axis=0))
            apart = max(apart, (difference / error).max())
            share = max(share, (difference / (np.abs(b.mean(axis=0)) + 1)).max())
            if "-v" in sys.argv:
                print(" ", severity, a.mean(axis=0).round(2), b.mean(axis=0).round(2), (difference / error).round(1))
        bad = apart > limit
        wrong |= bad
        print(f"{name}: {apart:.2f} standard errors apart, {share:.1%} of the value{' TOO FAR' if bad else ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
