//! The verdict in one sentence.

use driftline_metrics::BinSize;
use serde::Serialize;

use crate::numbers::{BinRow, Numbers, WindowView};

/// Windows that a sentence names; more are counted.
const NAMED: usize = 3;

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Headline {
    /// Whether any window or bin has drifted.
    pub drifted: bool,
    /// The sentence.
    pub text: String,
}

/// The verdict on the windows where there are several, otherwise on the bins.
pub(crate) fn headline(windows: &[WindowView], bins: &[BinRow], size: BinSize) -> Headline {
    let say = |drifted, text| Headline { drifted, text };
    if bins.is_empty() {
        return say(false, "There are no events yet".to_owned());
    }
    if bins.iter().all(|bin| bin.numbers.jsd.is_none()) {
        return say(
            false,
            "Drift is unknown: there is no baseline to compare with".to_owned(),
        );
    }
    if windows.len() > 1 {
        of_windows(windows)
    } else {
        of_bins(bins, size)
    }
}

fn of_windows(windows: &[WindowView]) -> Headline {
    let all = counted(windows.len(), "window");
    let mut drifted: Vec<&WindowView> = windows.iter().filter(|w| w.numbers.drifted).collect();
    if drifted.is_empty() {
        let tested = windows.iter().filter_map(|window| {
            let p = window.numbers.p_value?;
            Some((p, format!(" ({})", window.name)))
        });
        return no_drift(&all, tested);
    }
    drifted.sort_by(|a, b| factor(&b.numbers).total_cmp(&factor(&a.numbers)));
    let named = drifted.iter().take(NAMED);
    let mut parts: Vec<String> = named
        .map(|window| format!("{} ({})", window.name, size_of(&window.numbers)))
        .collect();
    if drifted.len() > NAMED {
        parts.push(format!("and {} more", drifted.len() - NAMED));
    }
    Headline {
        drifted: true,
        text: format!("Drift in {} of {all}: {}", drifted.len(), parts.join(", ")),
    }
}

fn of_bins(bins: &[BinRow], size: BinSize) -> Headline {
    let word = size.name().to_lowercase();
    let all = counted(bins.len(), &word);
    let drifted = bins.iter().filter(|bin| bin.numbers.drifted).count();
    let Some(last) = bins.last().filter(|_| drifted > 0) else {
        let tested = bins.iter().filter_map(|bin| bin.numbers.p_value);
        return no_drift(&all, tested.map(|p| (p, String::new())));
    };
    let has = if last.numbers.drifted {
        "has"
    } else {
        "has not"
    };
    Headline {
        drifted: true,
        text: format!(
            "Drift in {drifted} of {all}; the last {word} {has} drifted ({})",
            size_of(&last.numbers)
        ),
    }
}

/// As in `No drift in 3 windows; smallest p-value 0.210 (week-1)`, from the p-values and where they are.
fn no_drift(all: &str, tested: impl Iterator<Item = (f64, String)>) -> Headline {
    let smallest = tested.min_by(|(a, _), (b, _)| a.total_cmp(b));
    let smallest = smallest.map_or_else(String::new, |(p, place)| {
        format!("; smallest p-value {}{place}", probability(p))
    });
    Headline {
        drifted: false,
        text: format!("No drift in {all}{smallest}"),
    }
}

/// As in `JSD 0.110, 8.8 times the noise floor, p 1e-7`.
fn size_of(numbers: &Numbers) -> String {
    let Some(jsd) = numbers.jsd else {
        return "no distance".to_owned();
    };
    let factor = factor(numbers);
    let factor = if factor < 10.0 {
        format!("{factor:.1}")
    } else {
        format!("{factor:.0}")
    };
    let p = numbers
        .p_value
        .map_or_else(String::new, |p| format!(", p {}", probability(p)));
    format!("JSD {jsd:.3}, {factor} times the noise floor{p}")
}

/// A p-value: three digits, or its power of ten.
pub(crate) fn probability(p: f64) -> String {
    if p < 1e-9 {
        "below 1e-9".to_owned()
    } else if p < 0.001 {
        format!("{p:.0e}")
    } else {
        format!("{p:.3}")
    }
}

fn factor(numbers: &Numbers) -> f64 {
    match (numbers.jsd, numbers.noise_floor) {
        (Some(jsd), Some(floor)) if floor > 0.0 => jsd / floor,
        _ => 0.0,
    }
}

fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(jsd: f64) -> Numbers {
        Numbers {
            rows: 1000,
            jsd: Some(jsd),
            noise_floor: Some(0.0125),
            p_value: Some(if jsd > 0.0375 { 1e-7 } else { 0.25 }),
            drifted: jsd > 0.0375,
            psi: None,
            psi_floor: None,
            accuracy: None,
        }
    }

    fn windows(distances: &[f64]) -> Vec<WindowView> {
        let named = distances.iter().zip(1..);
        named
            .map(|(jsd, i)| WindowView {
                name: format!("week {i}"),
                numbers: numbers(*jsd),
            })
            .collect()
    }

    fn bins(distances: &[f64]) -> Vec<BinRow> {
        let each = distances.iter();
        each.map(|jsd| BinRow {
            start: 0,
            windows: Vec::new(),
            counts: Vec::new(),
            numbers: numbers(*jsd),
        })
        .collect()
    }

    fn said(windows: &[WindowView], bins: &[BinRow]) -> (bool, String) {
        let headline = headline(windows, bins, BinSize::Day);
        (headline.drifted, headline.text)
    }

    #[test]
    fn the_worst_window_comes_first() {
        let (drifted, text) = said(&windows(&[0.02, 0.11, 0.16]), &bins(&[0.1]));
        assert!(drifted);
        assert_eq!(
            text,
            "Drift in 2 of 3 windows: week 3 (JSD 0.160, 13 times the noise floor, p 1e-7), \
             week 2 (JSD 0.110, 8.8 times the noise floor, p 1e-7)"
        );
        let (_, many) = said(&windows(&[0.1, 0.1, 0.1, 0.1, 0.1]), &bins(&[0.1]));
        assert!(many.ends_with(", and 2 more"), "{many}");
    }

    #[test]
    fn steady_windows_and_single_windows_have_sentences_too() {
        let (drifted, text) = said(&windows(&[0.02, 0.01]), &bins(&[0.02]));
        assert!(!drifted);
        assert_eq!(
            text,
            "No drift in 2 windows; smallest p-value 0.250 (week 1)"
        );
        let (drifted, text) = said(&windows(&[0.1]), &bins(&[0.02, 0.1, 0.02]));
        assert!(drifted);
        assert_eq!(
            text,
            "Drift in 1 of 3 days; the last day has not drifted (JSD 0.020, 1.6 times the noise floor, p 0.250)"
        );
        let (drifted, text) = said(&windows(&[0.02]), &bins(&[0.02]));
        assert!(!drifted);
        assert_eq!(text, "No drift in 1 day; smallest p-value 0.250");
        assert_eq!(
            said(&[], &[]),
            (false, "There are no events yet".to_owned())
        );
    }
}
