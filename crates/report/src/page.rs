//! The page of a run.

use driftline_pipeline::RunSummary;
use driftline_stats::{Check, Distance, Explanation};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::chart::{chart, day};
use crate::headline::probability;

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1f2328; background: #ffffff; }
svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 0.3rem 0.7rem; border-bottom: 1px solid #8886; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
@media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; } }";

/// One self-contained HTML page: what was run, the chart, the windows and their days as tables, and images left out.
/// It needs neither a network nor scripts.
pub fn page(summary: &RunSummary) -> String {
    let title = format!("Drift of {}", summary.model.name);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    p {
                        "Run " code { (summary.run_id) } ": " (summary.timing.images) " images on "
                        (summary.backend.engine) ", baseline of " (summary.baseline.rows) " rows"
                        @if let Some(accuracy) = summary.baseline.accuracy { ", accuracy " (percent(accuracy)) }
                        "."
                    }
                    (chart(summary))
                    p {
                        "The shaded band is the noise floor: the distance that chance alone gives a day of that size. "
                        "Whether a window drifted is decided by all statistics together, at most 5 % of windows without drift."
                    }
                    h2 { "Windows" }
                    (windows(summary))
                    (changes(summary))
                    h2 { "Days" }
                    (days(summary))
                    @if summary.skipped_images > 0 { (skipped(summary)) }
                }
            }
        }
    }
    .into_string()
}

fn windows(summary: &RunSummary) -> Markup {
    html! {
        div.scroll { table {
            tr {
                th { "window" } th { "transform" } th { "images" } th { "accuracy" } th { "events" }
                th { "JSD" } th { "noise floor" } th { "PSI" } th { "p-value" } th { "drift" }
            }
            @for window in &summary.windows {
                tr {
                    td { (window.name) } td { (window.transform) } td { (window.rows) }
                    td { @match window.accuracy { Some(accuracy) => (percent(accuracy)), None => "-" } }
                    td { (window.published) }
                    td { (four(window.statistics[&Distance::Jsd])) }
                    td { (four(window.noise_floor)) }
                    td { (four(window.statistics[&Distance::Psi])) }
                    td { (p_value(&window.check)) }
                    td { @if window.drifted { strong { "yes" } } @else { "no" } }
                }
            }
        } }
    }
}

/// What each statistic says of each window, and what changed.
fn changes(summary: &RunSummary) -> Markup {
    html! {
        h2 { "Statistics" }
        div.scroll { table {
            tr {
                th { "window" } th { "statistic" } th { "value" } th { "noise floor" } th { "effect" }
                th { "detectable" } th { "p-value" }
            }
            @for window in &summary.windows {
                @for (statistic, answer) in &window.check.answers {
                    tr {
                        td { (window.name) } td { (statistic) }
                        @match answer.finding() {
                            Some(finding) => {
                                td { (four(finding.value)) } td { (four(finding.expected)) }
                                td { (four(finding.effect)) } td { (four(finding.detectable)) }
                                td { (probability(finding.p_value)) }
                            }
                            None => { td colspan="5" { "not enough rows" } }
                        }
                    }
                }
            }
        } }
        @for window in &summary.windows { (explained(&window.name, &window.explanation)) }
    }
}

fn explained(name: &str, explanation: &Explanation) -> Markup {
    html! {
        @if !explanation.words.is_empty() {
            p { strong { (name) } ": " (explanation.words.join(", ")) "." }
        }
        @for warning in &explanation.warnings {
            p { strong { (name) } ": " (warning) "." }
        }
    }
}

fn p_value(check: &Check) -> String {
    check.p_value.map_or_else(|| "-".to_owned(), probability)
}

fn days(summary: &RunSummary) -> Markup {
    html! {
        div.scroll { table {
            tr { th { "day" } th { "window" } th { "events" } th { "JSD" } th { "noise floor" } th { "PSI" } th { "p-value" } th { "alert" } }
            @for window in &summary.windows {
                @for bin in &window.bins {
                    tr {
                        td { (day(bin)) } td { (window.name) } td { (bin.rows) }
                        td { (four(bin.statistics[&Distance::Jsd])) }
                        td { (four(bin.noise_floor)) }
                        td { (four(bin.statistics[&Distance::Psi])) }
                        td { (p_value(&bin.check)) }
                        td { @if bin.alert { strong { "alert" } } }
                    }
                }
            }
        } }
    }
}

fn skipped(summary: &RunSummary) -> Markup {
    html! {
        h2 { "Images left out" }
        p { (summary.skipped_images) " in all." }
        ul {
            @for skipped in &summary.skipped {
                li {
                    (skipped.stage) ", row " (skipped.image.row) ", " code { (skipped.image.url) } ": "
                    (skipped.image.reason)
                }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn four(value: f64) -> String {
    format!("{value:.4}")
}
