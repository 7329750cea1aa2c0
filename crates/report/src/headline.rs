//! What the numbers say, in one sentence.

use driftline_metrics::{BIN_ALPHA, BinSize};
use serde::Serialize;

use crate::numbers::{BinRow, Numbers, WindowView};

/// Windows that a sentence names; more are counted.
const NAMED: usize = 3;

/// What the numbers say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Headline {
    /// Whether any window or bin has drifted.
    pub drifted: bool,
    /// The sentence.
    pub text: String,
}

/// Speaks of the windows where there are several, of the bins where there is one.
pub(crate) fn headline(windows: &[WindowView], bins: &[BinRow], size: BinSize) -> Headline {
    let say = |drifted, text| Headline { drifted, text };
    if bins.is_empty() {
        return say(false, "There are no events yet".to_owned());
    }
    if bins.iter().all(|bin| bin.numbers.jsd.is_none()) {
        return say(
            false,
            "Drift is not known: there is no baseline to compare with".to_owned(),
        );
    }
    if windows.len() > 1 {
        of_windows(windows)
    } else {
        of_bins(bins, size)
    }
}

fn of_windows(windows: &[WindowView]) -> Headline {
    let mut worst: Vec<&WindowView> = windows.iter().collect();
    worst.sort_by(|a, b| factor(&b.numbers).total_cmp(&factor(&a.numbers)));
    let drifted: Vec<&WindowView> = worst
        .iter()
        .copied()
        .filter(|window| window.numbers.drifted)
        .collect();
    let text = match (drifted.as_slice(), worst.first()) {
        ([], Some(most)) => format!(
            "No drift in {} windows: the most has {}, {}; drift begins at p {BIN_ALPHA}",
            windows.len(),
            most.name,
            size_of(&most.numbers)
        ),
        (drifted, _) => {
            let named = drifted.iter().take(NAMED);
            let mut parts: Vec<String> = named
                .map(|window| format!("{}: drift, {}", window.name, size_of(&window.numbers)))
                .collect();
            if drifted.len() > NAMED {
                parts.push(format!("and {} more", drifted.len() - NAMED));
            }
            parts.join("; ")
        }
    };
    Headline {
        drifted: !drifted.is_empty(),
        text,
    }
}

fn of_bins(bins: &[BinRow], size: BinSize) -> Headline {
    let word = size.name().to_lowercase();
    let drifted: Vec<&BinRow> = bins.iter().filter(|bin| bin.numbers.drifted).collect();
    let Some(last) = bins.last() else {
        return Headline {
            drifted: false,
            text: String::new(),
        };
    };
    let text = if drifted.is_empty() {
        format!(
            "No drift in {}; the last has {}; drift begins at p {BIN_ALPHA}",
            counted(bins.len(), &word),
            size_of(&last.numbers)
        )
    } else {
        let now = if last.numbers.drifted {
            "drifted"
        } else {
            "is well"
        };
        format!(
            "Drift in {} of {}; the last {word} {now}, {}",
            drifted.len(),
            counted(bins.len(), &word),
            size_of(&last.numbers)
        )
    };
    Headline {
        drifted: !drifted.is_empty(),
        text,
    }
}

/// As in `JSD 0.11 is 9 times the noise floor`.
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
    let p = match numbers.p_value {
        None => String::new(),
        Some(p) => format!(" (p {})", probability(p)),
    };
    format!("JSD {jsd:.3} is {factor} times the noise floor{p}")
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
            "week 3: drift, JSD 0.160 is 13 times the noise floor (p 1e-7); \
             week 2: drift, JSD 0.110 is 8.8 times the noise floor (p 1e-7)"
        );
        let (_, many) = said(&windows(&[0.1, 0.1, 0.1, 0.1, 0.1]), &bins(&[0.1]));
        assert!(many.ends_with("; and 2 more"), "{many}");
    }

    #[test]
    fn steady_windows_and_single_windows_have_sentences_too() {
        let (drifted, text) = said(&windows(&[0.02, 0.01]), &bins(&[0.02]));
        assert!(
            !drifted && text.starts_with("No drift in 2 windows: the most has week 1, JSD 0.020")
        );
        let (drifted, text) = said(&windows(&[0.1]), &bins(&[0.02, 0.1, 0.02]));
        assert!(drifted);
        assert_eq!(
            text,
            "Drift in 1 of 3 days; the last day is well, JSD 0.020 is 1.6 times the noise floor (p 0.250)"
        );
        let (drifted, text) = said(&windows(&[0.02]), &bins(&[0.02]));
        assert!(!drifted && text.starts_with("No drift in 1 day; the last has JSD 0.020"));
        assert_eq!(
            said(&[], &[]),
            (false, "There are no events yet".to_owned())
        );
    }
}
