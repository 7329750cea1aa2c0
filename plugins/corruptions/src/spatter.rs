//! Spatter: rain at severities 1 to 3, mud at 4 and 5.

use rand_chacha::ChaCha8Rng;

use crate::corruption::Level;
use crate::picture::{Border, Picture};
use crate::weather::normal_layer;

/// Drops are smoothed noise above a threshold. Rain is bright along one side of its edges; mud covers what is below it.
pub(crate) fn spatter(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    // Mean and sigma of the noise, its smoothing, the threshold, strength of rain or smoothing of mud, whether it is mud.
    let (mean, sigma, smooth, threshold, strength, mud): (f64, f64, f64, f64, f64, bool) = level
        .of(
            [
                (0.62, 0.1, 0.7, 0.7, 0.5, false),
                (0.65, 0.1, 0.8, 0.7, 0.5, false),
                (0.65, 0.3, 1.0, 0.69, 0.5, false),
                (0.65, 0.1, 0.7, 0.69, 0.6, true),
                (0.65, 0.1, 0.5, 0.68, 0.6, true),
            ],
            [
                (0.65, 0.3, 4.0, 0.69, 0.6, false),
                (0.65, 0.3, 3.0, 0.68, 0.6, false),
                (0.65, 0.3, 2.0, 0.68, 0.5, false),
                (0.65, 0.3, 1.0, 0.65, 1.5, true),
                (0.67, 0.4, 1.0, 0.65, 1.5, true),
            ],
        );
    let drops = normal_layer(image, mean, sigma, random)
        .gaussian(smooth, 4.0, Border::Nearest)
        .map(|value| if value < threshold { 0.0 } else { value });
    if mud {
        let cover = drops
            .map(|value| f64::from(value > threshold))
            .gaussian(strength, 4.0, Border::Nearest)
            .map(|value| if value < 0.8 { 0.0 } else { value });
        return mixed(
            image,
            &cover,
            |value, colour, cover| value * (1.0 - cover) + colour * cover,
            [63.0, 42.0, 20.0],
        );
    }
    let light = shine(&drops);
    let mut wet = drops.clone();
    for (value, light) in wet.values.iter_mut().zip(&light.values) {
        *value *= light;
    }
    let highest = wet.values.iter().copied().fold(0.0, f64::max);
    let wet = wet.map(|value| match highest {
        0.0 => 0.0,
        highest => value / highest * strength,
    });
    mixed(
        image,
        &wet,
        |value, colour, wet| value + colour * wet,
        [175.0, 238.0, 238.0],
    )
}

fn mixed(
    image: &Picture,
    cover: &Picture,
    mix: impl Fn(f64, f64, f64) -> f64,
    colour: [f64; 3],
) -> Picture {
    let mut out = image.clone();
    for (pixel, cover) in out.values.chunks_exact_mut(3).zip(&cover.values) {
        for (value, colour) in pixel.iter_mut().zip(colour) {
            *value = mix(*value, colour / 255.0, *cover);
        }
    }
    out
}

/// How bright each place of a drop is: the distance from the drops' edges, in grey levels made even, lit from the upper
/// left.
fn shine(drops: &Picture) -> Picture {
    let grey = drops.map(|value| (value.clamp(0.0, 1.0) * 255.0).floor());
    let distance = distances(&edges(&grey), grey.height, grey.width);
    let even = equalized(&box_blur(&distance).map(f64::floor));
    const LIGHT: [(isize, isize, f64); 7] = [
        (-1, -1, -2.0),
        (-1, 0, -1.0),
        (0, -1, -1.0),
        (0, 0, 1.0),
        (0, 1, 1.0),
        (1, 0, 1.0),
        (1, 1, 2.0),
    ];
    let lit = even.correlate(&LIGHT, Border::Reflect);
    box_blur(&lit.map(|value| value.clamp(0.0, 255.0))).map(f64::round)
}

fn box_blur(image: &Picture) -> Picture {
    let taps = |y: isize| [-1, 0, 1].map(|x| (y, x, 1.0 / 9.0));
    image.correlate(&[-1, 0, 1].map(taps).concat(), Border::Reflect)
}

/// Canny's edges of grey levels with the thresholds 50 and 150, gradients by Sobel and measured in |x| + |y|.
fn edges(grey: &Picture) -> Vec<bool> {
    const LOW: f64 = 50.0;
    const HIGH: f64 = 150.0;
    let (height, width) = (grey.height, grey.width);
    let smooth = [(-1, 1.0), (0, 2.0), (1, 1.0)];
    let sobel = |vertical: bool| {
        let taps: Vec<(isize, isize, f64)> = smooth
            .iter()
            .flat_map(|(at, weight)| [(*at, -1, -weight), (*at, 1, *weight)])
            .map(|(along, across, weight)| match vertical {
                true => (across, along, weight),
                false => (along, across, weight),
            })
            .collect();
        grey.correlate(&taps, Border::Nearest)
    };
    let (gx, gy) = (sobel(false), sobel(true));
    let strength = |y: isize, x: isize| {
        if y < 0 || x < 0 || y >= height as isize || x >= width as isize {
            return 0.0;
        }
        let at = y as usize * width + x as usize;
        gx.values[at].abs() + gy.values[at].abs()
    };
    let is_peak = |y: usize, x: usize| {
        let at = y * width + x;
        let (gx, gy) = (gx.values[at], gy.values[at]);
        let tangent = (22.5_f64).to_radians().tan();
        // The two neighbours across the edge.
        let (dy, dx) = if gy.abs() < gx.abs() * tangent {
            (0, 1)
        } else if gx.abs() < gy.abs() * tangent {
            (1, 0)
        } else if gx * gy > 0.0 {
            (1, 1)
        } else {
            (1, -1)
        };
        let (y, x) = (y as isize, x as isize);
        let here = strength(y, x);
        let (before, after) = (strength(y - dy, x - dx), strength(y + dy, x + dx));
        // Of two equal neighbours along an axis the first is the peak; along a diagonal neither.
        here > before && (here > after || (here == after && dy * dx == 0))
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    let weak: Vec<bool> = places
        .map(|(y, x)| strength(y as isize, x as isize) > LOW && is_peak(y, x))
        .collect();
    let mut edge = vec![false; weak.len()];
    let strong = |at: usize| strength((at / width) as isize, (at % width) as isize) > HIGH;
    let mut open: Vec<usize> = (0..weak.len())
        .filter(|at| weak[*at] && strong(*at))
        .collect();
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut edge[at], true) {
            continue;
        }
        let (y, x) = (at / width, at % width);
        for y in y.saturating_sub(1)..(y + 2).min(height) {
            for x in x.saturating_sub(1)..(x + 2).min(width) {
                if weak[y * width + x] && !edge[y * width + x] {
                    open.push(y * width + x);
                }
            }
        }
    }
    edge
}

/// The Euclidean distance of each place from the nearest edge, at most `FAR`.
fn distances(edge: &[bool], height: usize, width: usize) -> Picture {
    const FAR: isize = 20;
    // Down each column first; then along each row the best of the columns beside it.
    let mut down = vec![FAR; edge.len()];
    for x in 0..width {
        let mut last = FAR;
        for y in (0..height).chain((0..height).rev()) {
            let at = y * width + x;
            last = if edge[at] { 0 } else { (last + 1).min(FAR) };
            down[at] = down[at].min(last);
        }
    }
    let mut values = Vec::with_capacity(edge.len());
    for y in 0..height {
        for x in 0..width as isize {
            let beside = (x - FAR).max(0)..(x + FAR + 1).min(width as isize);
            let nearest = beside
                .map(|other| {
                    let down = down[y * width + other as usize];
                    down * down + (other - x) * (other - x)
                })
                .min()
                .unwrap_or(FAR * FAR);
            values.push((nearest as f64).sqrt().min(FAR as f64));
        }
    }
    Picture::new(height, width, 1, values)
}

/// Grey levels whose histogram is as even as can be.
fn equalized(grey: &Picture) -> Picture {
    let mut counts = [0_usize; 256];
    for value in &grey.values {
        counts[*value as usize] += 1;
    }
    let total = grey.values.len();
    let first = counts.iter().copied().find(|count| *count > 0).unwrap_or(0);
    let mut sum = 0;
    let levels = counts.map(|count| {
        sum += count;
        match total - first {
            0 => 0.0,
            others => (sum.saturating_sub(first) as f64 * 255.0 / others as f64).round(),
        }
    });
    grey.map(|value| levels[value as usize])
}
