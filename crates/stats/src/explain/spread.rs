//! Mean and spread of a column.

/// Mean and standard deviation (divisor `n`).
pub(super) fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let n = (values.len() as f64).max(1.0);
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let squares = values
        .iter()
        .map(|value| (f64::from(*value) - mean).powi(2));
    (mean, (squares.sum::<f64>() / n).sqrt())
}
