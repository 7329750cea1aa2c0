//! Numbers and vectors as text, written as Python and NumPy write them: the server infers a model's columns from text.

use std::fmt::Write as _;

/// `values` as Python shows a list of floats: `[0.25, -1.5e-07]`.
pub(crate) fn list(values: &[f32]) -> String {
    let mut text = String::with_capacity(values.len() * 20 + 2);
    text.push('[');
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        // The list holds doubles, so a value has the digits that tell it from all other doubles.
        push(&mut text, &format!("{:e}", f64::from(*value)));
    }
    text.push(']');
    text
}

/// `value` as NumPy shows a single float: the digits that tell it from all other singles.
pub(crate) fn single(value: f32) -> String {
    let mut text = String::new();
    push(&mut text, &format!("{value:e}"));
    text
}

/// Appends a number given in Rust's shortest scientific form; both languages choose the same digits.
fn push(text: &mut String, scientific: &str) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    text.push_str(sign);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a string cannot fail.
        let _ = write!(text, "{mantissa}e{sign}{:02}", exponent.abs());
        return;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if exponent < 0 {
        text.push_str("0.");
        text.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        text.push_str(&digits);
        return;
    }
    let point = exponent as usize + 1;
    let padded = format!("{digits:0<point$}");
    let (before, after) = padded.split_at(point);
    text.push_str(before);
    text.push('.');
    text.push_str(if after.is_empty() { "0" } else { after });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_python() {
        // The right side is what CPython 3.11 and NumPy 2 print.
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001_445_612_3, "0.0014456123"),
            (0.990_285_1, "0.9902851"),
            (100.0, "100.0"),
            (123_456.7, "123456.7"),
            (0.000_1, "0.0001"),
            (1.2e-5, "1.2e-05"),
            (-1e16, "-1e+16"),
            (1e15, "1000000000000000.0"),
        ] {
            assert_eq!(single(value), text);
        }
        assert_eq!(
            list(&[-2.335_385_6, 0.1, 1.2e-5, 3.0]),
            "[-2.33538556098938, 0.10000000149011612, 1.2000000424450263e-05, 3.0]"
        );
        assert_eq!(list(&[]), "[]");
    }
}
