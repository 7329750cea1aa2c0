//! The n-th call fails, for n = 1, 2, … until the path runs through: the error is clear, the same call again completes, and
//! nothing is lost or there twice.

use std::path::Path;

use crate::common::{
    Ended, Extent, Failure, Progress, Tally, folder, outbox, run, server, store, without_panic,
};
use crate::drivers::{REFUSED, command, outbox_command};
use driftline_faults::inject::{Fault, Kind};

/// Tries one call after the other, `stride` apart, until no call is left that could fail.
fn each_fault(
    name: &str,
    stride: u64,
    mut attempt: impl FnMut(Fault) -> Result<Option<String>, (Option<String>, String)>,
) {
    let mut tally = Tally::new(name);
    for (shift, kind) in (0..).zip(Kind::ALL) {
        // Different calls for different kinds, where not all are tried.
        let mut number = 1 + (shift * 5) % stride;
        loop {
            let fault = Fault {
                kind,
                number,
                lasting: false,
            };
            let outcome = attempt(fault);
            let hit = match &outcome {
                Ok(hit) => hit.clone(),
                Err((hit, _)) => hit.clone(),
            };
            tally.add(
                &[],
                outcome.map(drop).map_err(|(hit, text)| Failure {
                    case: format!("{fault}: {hit:?}"),
                    text,
                }),
            );
            if hit.is_none() {
                break;
            }
            number += stride;
        }
        println!("{name}: {} until {number}", kind.name());
    }
    tally.finish();
}

/// That a refusal says what failed.
fn is_clear(ended: &Ended) -> Result<(), String> {
    ended.is_orderly(&[0, REFUSED])?;
    for line in ended
        .text
        .lines()
        .filter(|line| line.starts_with("refused: "))
    {
        // Where, and the reason or what to do.
        if line.len() < 40 {
            return Err(format!("an unclear error: {line}"));
        }
    }
    Ok(())
}

#[test]
fn the_store_survives_every_fault() {
    let script = store::script();
    each_fault("fault, store", Extent::chosen().store_stride, |fault| {
        let place = folder();
        let (root, log) = (place.path().join("store"), place.path().join("log"));
        // Every second time the same process tries again, else the next one.
        let tries = 1 + (fault.number % 2) as u32;
        let ended = Ended::run(
            command("store", &root, &log, tries),
            &root,
            &log,
            Some(fault),
        );
        let checked = without_panic(|| {
            is_clear(&ended)?;
            if tries == 2 {
                ended.is_orderly(&[0])?;
            }
            store::check(&root, &script, &Progress::read(&log))
        });
        checked
            .map(|()| ended.hit.clone())
            .map_err(|text| (ended.hit.clone(), format!("{text}\n{}", ended.text)))
    });
}

#[test]
fn the_outbox_survives_every_fault() {
    each_fault("fault, outbox", Extent::chosen().outbox_stride, |fault| {
        let place = folder();
        let (root, log) = (place.path().join("store"), place.path().join("log"));
        let fake = outbox::server(None);
        let tries = 1 + (fault.number % 2) as u32;
        let start = |fault| {
            let command = outbox_command(&fake.url, &root, &log, tries);
            Ended::run(command, &root, &log, fault)
        };
        let ended = start(Some(fault));
        let checked = without_panic(|| {
            is_clear(&ended)?;
            if tries == 1 {
                start(None).is_orderly(&[0])?;
            } else {
                ended.is_orderly(&[0])?;
            }
            outbox::complete(&fake)?;
            // A batch whose delivery could not be noted is sent once more, in the background and by `flush`.
            outbox::once(&fake, 3)?;
            outbox::empty(&root)
        });
        checked
            .map(|()| ended.hit.clone())
            .map_err(|text| (ended.hit.clone(), format!("{text}\n{}", ended.text)))
    });
}

/// Runs the script against a server with a fault, each request until it is taken; how the server ended.
fn served(root: &Path, log: &Path, fault: Fault) -> Result<Ended, String> {
    let process = match server::Process::start(root, log, Some(fault)) {
        Ok(process) => process,
        Err(ended) => {
            is_clear(&ended)?;
            server::Process::start(root, log, None)
                .map_err(|again| format!("it does not start again: {}", again.text))?
        }
    };
    let mut script = server::Script::new(&process.url, None, &Default::default());
    let steps = server::script();
    for step in &steps {
        script.run_until_taken(step)?;
    }
    // A job may fail by the fault; the same request again is done.
    script.mend_jobs(&steps)?;
    server::drain(&mut script)?;
    drop(script);
    Ok(process.stop(log))
}

#[test]
fn the_server_survives_every_fault() {
    each_fault("fault, server", Extent::chosen().server_stride, |fault| {
        let place = folder();
        let (root, log) = (place.path().join("store"), place.path().join("log"));
        let checked = without_panic(|| {
            let ended = served(&root, &log, fault)?;
            ended.is_orderly(&[0])?;
            server::complete(&root)
        });
        let hit = crate::common::hit(&log);
        checked
            .map(|()| hit.clone())
            .map_err(|text| (hit.clone(), text))
    });
}

#[test]
fn a_run_survives_every_fault() {
    let workspace = run::Workspace::new();
    let calm = workspace.path("calm");
    run::succeeded(workspace.run(&calm)).unwrap();
    let calm = run::rows(&calm).unwrap();
    each_fault("fault, run", Extent::chosen().run_stride, |fault| {
        let place = folder();
        let (root, log) = (place.path().join("store"), place.path().join("log"));
        let ended = Ended::run(workspace.run(&root), &root, &log, Some(fault));
        let checked = without_panic(|| {
            ended.is_orderly(&[0, 1])?;
            if ended.code == Some(1) && !ended.text.contains("store") {
                return Err(format!("an unclear error: {}", ended.text));
            }
            run::succeeded(workspace.run(&root))?;
            match run::rows(&root)? == calm {
                true => Ok(()),
                false => Err("the store differs from the one of a calm run".to_owned()),
            }
        });
        checked
            .map(|()| ended.hit.clone())
            .map_err(|text| (ended.hit.clone(), format!("{text}\n{}", ended.text)))
    });
}
