//! Vectors as text: what Python prints for a list, a tuple, or an array.

/// Adds the numbers of `text` to `into`, at most `most` of them, and returns how many there are.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn parse(text: &str, most: usize, into: &mut Vec<f32>) -> Result<usize, String> {
    let text = text.trim();
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .or_else(|| {
            text.strip_prefix('(')
                .and_then(|text| text.strip_suffix(')'))
        })
        .ok_or("it is not in brackets")?;
    let mut count = 0;
    for word in inside.split(|c: char| c == ',' || c.is_whitespace()) {
        let number = match word {
            "" => continue,
            "..." => return Err("numbers were left out (`...`) when it was printed".to_owned()),
            // `np.float32(0.5)`
            word => word
                .strip_prefix("np.float")
                .and_then(|word| word.split_once('(')?.1.strip_suffix(')'))
                .unwrap_or(word),
        };
        if count == most {
            return Err(format!("it has more than {most} numbers"));
        }
        // A number that was f64 in the client is rounded as in a typed file.
        let value: f64 = number.parse().map_err(|_| {
            let shown: String = number.chars().take(20).collect();
            format!("`{shown}` is not a number")
        })?;
        into.push(value as f32);
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_python_prints_is_read() {
        for text in [
            "[0.1, -2.5, 3e-05]",
            "[np.float32(0.1), np.float32(-2.5), np.float32(3e-05)]",
            "(np.float64(0.1), np.float64(-2.5), np.float64(3e-05))",
            "[ 0.1 -2.5\n  3e-05]",
            "(0.1, -2.5, 3e-05,)",
        ] {
            let mut values = Vec::new();
            assert_eq!(parse(text, 3, &mut values), Ok(3), "{text}");
            assert_eq!(values, [0.1, -2.5, 3e-5], "{text}");
        }
        assert_eq!(parse("[]", 3, &mut Vec::new()), Ok(0));
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for (text, why) in [
            ("0.1, 0.2", "brackets"),
            ("[0.1, x]", "`x` is not a number"),
            ("[0.1 ... 0.3]", "left out"),
            ("[1, 2, 3, 4]", "more than 3"),
            ("", "brackets"),
            ("[np.float32(0.1]", "not a number"),
        ] {
            let error = parse(text, 3, &mut Vec::new()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
