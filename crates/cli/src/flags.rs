//! The flags behind settings that errors name.
//!
//! Libraries know settings and no flags: they write `backend.device=cpu` where the command writes `--device cpu`.

use driftline::core::Error;

/// Each setting that a message of a library may name in backticks, and its flag.
const FLAGS: [(&str, &str); 19] = [
    ("backend.device", "--device"),
    ("backend.name", "--backend"),
    ("backend.precision", "--precision"),
    ("backend.runtime", "--runtime"),
    ("backend.threads", "--threads"),
    ("baseline.block", "--block"),
    ("model.path", "--model"),
    ("monitor.clusters", "--clusters"),
    ("monitor.model", "--model-name"),
    ("monitor.project", "--project"),
    ("quickstart.events", "--events"),
    ("run.batch_size", "--batch-size"),
    ("run.now", "--now"),
    ("run.on_error", "--on-error"),
    ("run.seed", "--seed"),
    ("serve.listen", "--listen"),
    ("sink.name", "--sink"),
    ("sink.store", "--store"),
    ("test.alpha", "--alpha"),
];

/// The text of an error, with flags in the place of settings.
pub fn explain(error: &Error) -> String {
    let text = error.to_string();
    // What is wrong with a setting itself stands in a file or the environment.
    if error.operation() == "read settings" {
        return text;
    }
    with_flags(&text)
}

/// `text` with `` `--device cpu` `` in the place of `` `backend.device=cpu` ``.
pub fn with_flags(text: &str) -> String {
    // Every second piece stands in backticks.
    let pieces = text.split('`').enumerate().map(|(i, piece)| {
        if i % 2 == 0 {
            return piece.to_owned();
        }
        let (setting, value) = match piece.split_once('=') {
            Some((setting, value)) => (setting, Some(value)),
            None => (piece, None),
        };
        let flag = FLAGS.iter().find(|(known, _)| *known == setting);
        match (flag, value) {
            (Some((_, flag)), Some(value)) => format!("{flag} {value}"),
            (Some((_, flag)), None) => (*flag).to_owned(),
            (None, _) => piece.to_owned(),
        }
    });
    pieces.collect::<Vec<_>>().join("`")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn settings_become_flags_and_the_rest_stays() {
        assert_eq!(
            with_flags("use `backend.device=cpu`, or another `sink.store`; not `blur(sigma=1)`"),
            "use `--device cpu`, or another `--store`; not `blur(sigma=1)`"
        );
        assert_eq!(with_flags("a ` alone"), "a ` alone");
    }

    #[test]
    fn every_flag_is_one_of_the_command() {
        fn has(command: &clap::Command, flag: &str) -> bool {
            let mut mine = command.get_arguments();
            mine.any(|argument| argument.get_long() == Some(flag))
                || command.get_subcommands().any(|sub| has(sub, flag))
        }
        let command = crate::args::Cli::command();
        for (setting, flag) in FLAGS {
            let long = flag.strip_prefix("--").unwrap();
            assert!(has(&command, long), "{setting}: {flag}");
        }
    }
}
