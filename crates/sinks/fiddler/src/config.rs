//! What the sink is told: options, defaults and bounds.

use std::path::PathBuf;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use reqwest::Url;
use serde_json::{Map, Value};

use crate::token::{self, Token};

/// Environment variable with the address of the server, where the option `url` is not given.
pub const URL_VARIABLE: &str = "FIDDLER_URL";

/// Every option, in the order of the documentation.
const OPTIONS: [&str; 11] = [
    "url",
    "api",
    "organization",
    "token_file",
    "keyring",
    "ca_file",
    "allow_http",
    "batch_rows",
    "answer_seconds",
    "retry_seconds",
    "job_seconds",
];

const BATCH_ROWS: u64 = 10_000;
const MOST_BATCH_ROWS: u64 = 200_000;
const ANSWER: Duration = Duration::from_secs(100);
const RETRY: Duration = Duration::from_secs(300);
const JOB: Duration = Duration::from_secs(1_800);
const CONNECT: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_secs(20);

/// Which generation of the interface is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// V3 where the server has it, V2 otherwise.
    Auto,
    V3,
    V2,
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a connection.
    pub(crate) connect: Duration,
    /// For one answer; bodies get more time by their size.
    pub(crate) answer: Duration,
    /// For the first answer of a server, repetitions included.
    pub(crate) handshake: Duration,
    /// For any other answer, repetitions included.
    pub(crate) retry: Duration,
    /// For the end of a job.
    pub(crate) job: Duration,
    /// Between a finished V2 data set and the model made from it, as Fiddler's own client waits.
    pub(crate) settle: Duration,
}

/// Everything the sink is told, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) url: Url,
    pub(crate) api: Api,
    pub(crate) organization: Option<String>,
    pub(crate) token: Token,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) batch_rows: u64,
    pub(crate) patience: Patience,
    /// Whether the server is on this machine: no proxy stands between, and no quota is agreed upon.
    pub(crate) loopback: bool,
}

impl Settings {
    pub(crate) fn new(options: &Map<String, Value>) -> Result<Self> {
        let options = Options(options);
        options.check_names()?;
        let url = match options.text("url")? {
            Some(url) => url.to_owned(),
            None => std::env::var(URL_VARIABLE).map_err(|_| {
                refuse("the sink `fiddler` needs the address of the server")
                    .remedy(format!("set the option `url`, or {URL_VARIABLE}"))
            })?,
        };
        let url = parse_url(&url)?;
        let loopback = is_loopback(&url);
        if url.scheme() == "http" && !loopback && !options.flag("allow_http")? {
            return Err(refuse(format!("{url} would carry the token unprotected"))
                .remedy("use https, or set `allow_http = true` if the network is yours"));
        }
        let api = match options.text("api")? {
            None | Some("auto") => Api::Auto,
            Some("v3") => Api::V3,
            Some("v2") => Api::V2,
            Some(other) => {
                return Err(refuse(format!("there is no interface `{other}`"))
                    .remedy("`api` is \"auto\", \"v3\" or \"v2\""));
            }
        };
        let organization = options.text("organization")?.map(str::to_owned);
        if api == Api::V2 && organization.is_none() {
            return Err(needs_organization());
        }
        let answer = options.seconds("answer_seconds", ANSWER)?;
        let retry = options.seconds("retry_seconds", RETRY)?;
        let host = url.host_str().unwrap_or_default();
        Ok(Self {
            token: token::find(
                options.text("token_file")?,
                options.flag("keyring")?.then_some(host),
            )?,
            ca_file: options.text("ca_file")?.map(PathBuf::from),
            batch_rows: options.count("batch_rows", BATCH_ROWS, MOST_BATCH_ROWS)?,
            patience: Patience {
                connect: CONNECT.min(answer),
                answer,
                handshake: HANDSHAKE.min(retry),
                retry,
                job: options.seconds("job_seconds", JOB)?,
                settle: if loopback { Duration::ZERO } else { SETTLE },
            },
            url,
            api,
            organization,
            loopback,
        })
    }
}

pub(crate) fn needs_organization() -> Error {
    refuse("the V2 interface needs the name of the organization")
        .remedy("set the option `organization`")
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "set up the sink `fiddler`",
        message,
    )
}

fn parse_url(text: &str) -> Result<Url> {
    let remedy = "give it like https://company.fiddler.ai";
    // The text may hold a password, so it is not shown.
    let url = Url::parse(text).map_err(|cause| {
        refuse("`url` is not an address")
            .because(cause)
            .remedy(remedy)
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("`url` is not an address of a web server").remedy(remedy));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("`url` may not carry a name or a password")
            .remedy("give the token in FIDDLER_TOKEN, a file or the keyring"));
    }
    // Fiddler's own clients drop a path, so a server is always at the root.
    if url.path() != "/" || url.query().is_some() {
        return Err(refuse("`url` has a path; Fiddler is at the root of its host").remedy(remedy));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The options as they were written.
struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    fn check_names(&self) -> Result<()> {
        let Some(unknown) = self.0.keys().find(|name| !OPTIONS.contains(&name.as_str())) else {
            return Ok(());
        };
        let likeness = |known: &&str| strsim::jaro_winkler(known, unknown);
        let nearest = OPTIONS
            .into_iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .unwrap_or_default();
        Err(
            refuse(format!("the sink `fiddler` has no option `{unknown}`")).remedy(format!(
                "did you mean `{nearest}`? It has {}",
                OPTIONS.join(", ")
            )),
        )
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(refuse(format!("option `{name}` is not a text"))),
        }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(refuse(format!("option `{name}` is not true or false"))),
        }
    }

    fn count(&self, name: &str, default: u64, most: u64) -> Result<u64> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => match value.as_u64() {
                Some(count) if (1..=most).contains(&count) => Ok(count),
                _ => Err(refuse(format!(
                    "option `{name}` is not a number from 1 to {most}"
                ))),
            },
        }
    }

    fn seconds(&self, name: &str, default: Duration) -> Result<Duration> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(|duration| !duration.is_zero())
                .ok_or_else(|| {
                    refuse(format!(
                        "option `{name}` is not a number of seconds above 0"
                    ))
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: Value) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "tok-1\n").unwrap();
        let Value::Object(mut options) = options else {
            panic!("options are an object");
        };
        options
            .entry("token_file")
            .or_insert_with(|| file.display().to_string().into());
        Settings::new(&options)
    }

    #[test]
    fn an_unknown_option_is_answered_with_the_nearest() {
        let error = settings(serde_json::json!({"organisation": "o"})).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did you mean `organization`?"), "{text}");
    }

    #[test]
    fn addresses_that_would_leak_or_mislead_are_refused() {
        for (url, what) in [
            ("http://fiddler.example.com", "unprotected"),
            (
                "https://me:secret-7@fiddler.example.com",
                "a name or a password",
            ),
            ("https://fiddler.example.com/prefix", "has a path"),
            ("fiddler.example.com", "not an address"),
            ("ftp://fiddler.example.com", "not an address"),
        ] {
            let text = settings(serde_json::json!({ "url": url }))
                .unwrap_err()
                .to_string();
            assert!(text.contains(what), "{url}: {text}");
            assert!(!text.contains("secret-7"), "{text}");
        }
        for url in [
            "http://127.0.0.1:8000",
            "http://localhost:1/",
            "http://[::1]:9",
        ] {
            assert!(
                settings(serde_json::json!({ "url": url }))
                    .unwrap()
                    .loopback
            );
        }
        let options = serde_json::json!({"url": "http://f.example.com", "allow_http": true});
        assert!(!settings(options).unwrap().loopback);
    }

    #[test]
    fn values_of_another_type_name_their_option() {
        for (name, value) in [
            ("batch_rows", serde_json::json!(0)),
            ("batch_rows", serde_json::json!("many")),
            ("keyring", serde_json::json!("yes")),
            ("retry_seconds", serde_json::json!(-1)),
            ("ca_file", serde_json::json!(7)),
        ] {
            let options = serde_json::json!({"url": "https://f.example.com", name: value});
            let text = settings(options).unwrap_err().to_string();
            assert!(text.contains(&format!("`{name}`")), "{text}");
        }
    }
}
