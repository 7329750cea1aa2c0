//! Jensen-Shannon distance by day.

use driftline_pipeline::summary::{BinSummary, RunSummary, WindowSummary};
use driftline_stats::Distance;
use maud::{Markup, html};

/// Pixels of the picture.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 330.0;

/// Edges of the plane that the lines are drawn in.
const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = HEIGHT - 76.0;

/// Gap between two windows, in days.
const GAP: f64 = 0.8;

/// Horizontal lines above zero.
const LINES: usize = 4;

/// Readable on white and on black, and told apart without colour vision by the labels under them.
const STYLE: &str = "
.drift-chart { font: 13px system-ui, sans-serif; color: #1f2328; background: #ffffff; }
.drift-chart text { fill: currentColor; }
.drift-chart .grid { stroke: currentColor; stroke-opacity: 0.15; }
.drift-chart .floor { fill: currentColor; fill-opacity: 0.13; }
.drift-chart .line { fill: none; stroke-width: 2.5; stroke: #1a7f37; }
.drift-chart .point { fill: #1a7f37; }
.drift-chart .drifted .line { stroke: #d1242f; }
.drift-chart .drifted .point { fill: #d1242f; }
.drift-chart .name { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .drift-chart { color: #e6edf3; background: #0d1117; }
  .drift-chart .line { stroke: #3fb950; } .drift-chart .point { fill: #3fb950; }
  .drift-chart .drifted .line { stroke: #f85149; } .drift-chart .drifted .point { fill: #f85149; }
}";

/// A standalone SVG picture: each window's Jensen-Shannon distance by day, with the noise floor (what chance alone
/// gives a day of that size) as a shaded band, and each window's transform and accuracy below.
pub fn chart(summary: &RunSummary) -> Markup {
    let scale = Scale::new(&summary.windows);
    html! {
        svg.drift-chart xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}"))
            role="img" aria-label=(described(summary)) {
            style { (maud::PreEscaped(STYLE)) }
            @for line in 0..=LINES {
                @let value = scale.top * line as f64 / LINES as f64;
                @let y = scale.y(value);
                line.grid x1=(LEFT) x2=(RIGHT) y1=(px(y)) y2=(px(y)) {}
                text x=(LEFT - 8.0) y=(px(y + 4.0)) text-anchor="end" { (format!("{value:.2}")) }
            }
            text x="14" y=(px(f64::midpoint(TOP, BOTTOM))) text-anchor="middle"
                transform=(format!("rotate(-90 14 {:.1})", f64::midpoint(TOP, BOTTOM))) {
                "Jensen-Shannon distance"
            }
            @for (i, window) in summary.windows.iter().enumerate() {
                (drawn(window, i, &scale))
            }
        }
    }
}

/// The picture in words, for those who do not see it.
fn described(summary: &RunSummary) -> String {
    let windows: Vec<_> = summary
        .windows
        .iter()
        .map(|window| format!("{} {:.3}", window.name, window.statistics[&Distance::Jsd]))
        .collect();
    format!("Jensen-Shannon distance by day; {}", windows.join(", "))
}

fn drawn(window: &WindowSummary, index: usize, scale: &Scale) -> Markup {
    let at = |i: usize, bin: &BinSummary| (scale.x(index, i), scale.y(jsd(bin)));
    let points: Vec<_> = window
        .bins
        .iter()
        .enumerate()
        .map(|(i, bin)| at(i, bin))
        .collect();
    let line: Vec<_> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let middle = f64::midpoint(
        scale.x(index, 0),
        scale.x(index, window.bins.len().max(1) - 1),
    );
    let label = |row: f64| px(BOTTOM + 22.0 + 19.0 * row);
    html! {
        g class=(if window.drifted { "drifted" } else { "steady" }) {
            @for (i, bin) in window.bins.iter().enumerate() {
                @let y = scale.y(bin.noise_floor);
                rect.floor x=(px(scale.x(index, i) - scale.day / 2.0)) y=(px(y))
                    width=(px(scale.day)) height=(px(BOTTOM - y)) {}
            }
            polyline.line points=(line.join(" ")) {}
            @for ((x, y), bin) in points.iter().zip(&window.bins) {
                circle.point cx=(px(*x)) cy=(px(*y)) r="4" {
                    title { (day(bin)) ": " (format!("{:.4}", jsd(bin))) " over " (bin.rows) " events" }
                }
            }
            text.name x=(px(middle)) y=(label(0.0)) text-anchor="middle" { (window.name) }
            text x=(px(middle)) y=(label(1.0)) text-anchor="middle" { (window.transform) }
            @if let Some(accuracy) = window.accuracy {
                text x=(px(middle)) y=(label(2.0)) text-anchor="middle" {
                    "accuracy " (format!("{:.1} %", 100.0 * accuracy))
                }
            }
        }
    }
}

/// Day of a bin, as in `2026-11-03`.
pub(crate) fn day(bin: &BinSummary) -> String {
    bin.start.to_string().chars().take(10).collect()
}

fn jsd(bin: &BinSummary) -> f64 {
    bin.statistics[&Distance::Jsd]
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// From days and distances to pixels.
struct Scale {
    /// Width of a day.
    day: f64,
    /// Days before each window, gaps included.
    before: Vec<f64>,
    /// Largest distance drawn.
    top: f64,
}

impl Scale {
    fn new(windows: &[WindowSummary]) -> Self {
        let mut before = Vec::new();
        let mut days = 0.0;
        for window in windows {
            before.push(days);
            days += window.bins.len() as f64 + GAP;
        }
        let bins = || windows.iter().flat_map(|window| &window.bins);
        let largest = bins()
            .map(|bin| jsd(bin).max(bin.noise_floor))
            .fold(0.0, f64::max);
        Self {
            day: (RIGHT - LEFT) / (days - GAP).max(1.0),
            before,
            // Up to the next multiple of 0.04, so that every line has a round number.
            top: (largest / 0.04).ceil().max(1.0) * 0.04,
        }
    }

    /// Middle of a day.
    fn x(&self, window: usize, day: usize) -> f64 {
        LEFT + (self.before[window] + day as f64 + 0.5) * self.day
    }

    fn y(&self, distance: f64) -> f64 {
        BOTTOM - distance / self.top * (BOTTOM - TOP)
    }
}
