//! Which measurements the command line selects, by the rule that Criterion has for its own.

/// Whether `id` is measured: no filter is given, or one that is part of `id`.
pub fn selects(id: &str) -> bool {
    // What a flag of Criterion takes is a number, or is joined to it by `=`.
    let is_filter = |text: &String| !text.starts_with('-') && text.parse::<f64>().is_err();
    let mut filters = std::env::args().skip(1).filter(is_filter).peekable();
    filters.peek().is_none() || filters.any(|filter| id.contains(&filter))
}

/// Whether the smallest measurement is enough, because `--test` asks whether it works and not how fast it is.
pub fn only_tests() -> bool {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    given("--test") || !given("--bench")
}
