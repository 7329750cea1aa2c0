//! `serve` and `report`: a store to look at.

use std::io::IsTerminal;

use driftline::ReportOptions;
use driftline::core::{Error, ErrorKind};
use driftline::server::{ServeConfig, Server, Shutdown, TlsFiles, json_logs, raise_open_files};
use serde::Serialize;

use crate::args::{Output, ReportArgs, ServeArgs};
use crate::outcome::Outcome;
use crate::output;

/// Where the token comes from, so that it is in no list of processes.
const TOKEN: &str = "DRIFTLINE__SERVE__TOKEN";

#[derive(Serialize)]
struct Listening {
    address: String,
    store: String,
    /// Only if it was made by this start.
    token: Option<String>,
}

/// Serves until Ctrl-C or SIGTERM.
pub fn serve(args: &ServeArgs, output: Output) -> anyhow::Result<Outcome> {
    let _log = (!output.quiet).then(json_logs);
    raise_open_files();
    let token = match std::env::var(TOKEN) {
        Ok(token) if token.trim().is_empty() => {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "read the token",
                format!("{TOKEN} is set but empty"),
            )
            .remedy("give it a token, or unset it")
            .into());
        }
        token => token.ok(),
    };
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = Server::bind(ServeConfig {
        listen: args.listen,
        token,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        images: args.images.clone(),
        ..ServeConfig::new(args.store.clone())
    })?;
    if server.is_in_clear() {
        tracing::info!("--tls-cert and --tls-key give the server a certificate and its key");
    }
    let shutdown = Shutdown::default();
    let stop = shutdown.clone();
    let mut asked = false;
    ctrlc::set_handler(move || {
        if asked {
            std::process::exit(1);
        }
        asked = true;
        stop.now();
    })?;
    let listening = Listening {
        address: format!("{scheme}://{}", server.local_addr()),
        store: args.store.display().to_string(),
        token: server.new_token().map(str::to_owned),
    };
    if output.json {
        output::json(&listening)?;
    } else {
        greet(&listening)?;
    }
    server.run(&shutdown)?;
    Ok(Outcome::Done)
}

fn greet(listening: &Listening) -> anyhow::Result<()> {
    let Listening {
        address,
        store,
        token,
    } = listening;
    output::text(&format!("serving {store} at {address}"))?;
    match token {
        Some(token) => {
            output::text(&format!(
                "token: {token}\n  It is shown only once and not stored. To choose another, start with {TOKEN} set."
            ))?;
            output::text(&format!("page:  {address}/#token={token}"))?;
            output::text(&format!(
                "to fill the store, in another terminal:\n  FIDDLER_URL={address} FIDDLER_TOKEN={token} driftline quickstart --sink fiddler"
            ))?;
        }
        None => output::text(&format!("page:  {address}/ (it asks for the token)"))?,
    }
    if std::io::stderr().is_terminal() {
        output::text("Press Ctrl-C to stop.")?;
    }
    Ok(())
}

/// Writes the page of a store.
pub fn report(args: &ReportArgs, output: Output) -> anyhow::Result<Outcome> {
    let chosen = args
        .only
        .iter()
        .map(|name| {
            let (project, model) = name.split_once('/').ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "read flags",
                    format!("`--only {name}` is not a project and a model"),
                )
                .remedy("write it as in `--only image_monitoring/sample-resnet18`")
            })?;
            Ok((project.to_owned(), model.to_owned()))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let options = ReportOptions {
        only: chosen,
        images: args.images.clone(),
    };
    let written = driftline::report(&args.store, &args.output, &options)?;
    if output.json {
        output::json(&written)?;
    } else {
        let (page, kilobytes) = (written.report.display(), written.bytes / 1000);
        output::text(&format!("{page} ({kilobytes} kB)"))?;
    }
    Ok(Outcome::Done)
}
