//! Multiple testing: many p-values at once.

/// Which hypotheses are rejected so that of all rejections a share `alpha` is expected to be false (Benjamini and Hochberg
/// 1995), for p-values that are independent or depend on each other positively.
pub fn benjamini_hochberg(p_values: &[f64], alpha: f64) -> Vec<bool> {
    benjamini_hochberg_adjusted(p_values)
        .iter()
        .map(|p| *p <= alpha)
        .collect()
}

/// The adjusted p-values: the least `alpha` at which each hypothesis is rejected by [`benjamini_hochberg`], as `scipy.stats.false_discovery_control`.
pub fn benjamini_hochberg_adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let count = p_values.len() as f64;
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (from_last, at) in order.into_iter().enumerate() {
        let rank = count - from_last as f64;
        least = least.min(p_values[at] * count / rank);
        adjusted[at] = least;
    }
    adjusted
}

/// One p-value of several that may depend on each other in any way: the least times their number (Bonferroni); `None` of none.
pub fn bonferroni(p_values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (count, least) = p_values
        .into_iter()
        .fold((0_u32, f64::INFINITY), |(count, least), p| {
            (count + 1, least.min(p))
        });
    (count > 0).then(|| (least * f64::from(count)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_are_those_of_scipy() {
        // scipy.stats.false_discovery_control([0.01, 0.04, 0.03, 0.005, 0.6, 0.2])
        let found = benjamini_hochberg_adjusted(&[0.01, 0.04, 0.03, 0.005, 0.6, 0.2]);
        for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.03, 0.6, 0.24]) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} is not {expected}"
            );
        }
        assert!(benjamini_hochberg_adjusted(&[]).is_empty());
    }

    #[test]
    fn rejections_end_at_the_last_value_below_its_line() {
        let p_values = [0.04, 0.9, 0.011, 0.02];
        assert_eq!(
            benjamini_hochberg(&p_values, 0.05),
            [false, false, true, true]
        );
    }

    #[test]
    fn several_are_as_many_times_the_least() {
        assert_eq!(bonferroni([0.2, 0.01, 0.5]), Some(0.03));
        assert_eq!(bonferroni([0.9, 0.8]), Some(1.0));
        assert_eq!(bonferroni([]), None);
    }
}
