//! The web page and the page of `report` in a real Chromium, over a run that really happened.

use std::path::Path;

use crate::browser::{Browser, chromium};
use crate::common::server::{Served, TOKEN};
use crate::common::{NOW, Workspace, stderr};
use serde_json::Value;

const STORE: &str = "driftline-store";
const SHOWN: &str = "!document.getElementById('content').hidden";
const PAIRS: usize = 8;

#[test]
fn the_pages_show_what_the_run_found() {
    let Some(program) = chromium() else {
        return;
    };
    let workspace = Workspace::new();
    let run = workspace.json(&["quickstart", "--now", NOW]);
    let output = workspace.run(["report", "--store", STORE, "-o", "page.html"]);
    assert!(output.status.success(), "{}", stderr(&output));

    let mut browser = Browser::start(&program);
    browser.resize(1100, 1400);
    let file = format!("file://{}", workspace.path("page.html").display());
    browser.open(&file);
    looks_right(&mut browser, &run, "report");
    for asked in &browser.asked {
        assert!(asked == &file || asked.starts_with("data:"), "{asked}");
    }

    let server = Served::start(&workspace, STORE);
    browser.asked.clear();
    browser.open(&format!("{}/#token={TOKEN}", server.url()));
    looks_right(&mut browser, &run, "server");
    bins_of_another_size(&mut browser);
    let address = browser.value("location.href");
    assert!(!address.as_str().unwrap().contains(TOKEN), "{address}");
    for asked in &browser.asked {
        let local = ["data:", "blob:"]
            .iter()
            .any(|scheme| asked.starts_with(scheme));
        assert!(local || asked.starts_with(&server.url()), "{asked}");
    }
    a_wrong_token_is_said(&mut browser, &server);
}

#[test]
fn an_empty_store_says_what_to_do() {
    let Some(program) = chromium() else {
        return;
    };
    let workspace = Workspace::new();
    let server = Served::start(&workspace, STORE);
    let mut browser = Browser::start(&program);
    browser.open(&format!("{}/#token={TOKEN}", server.url()));
    browser.wait_for("!document.getElementById('empty').hidden");
    assert!(
        browser
            .text("#empty")
            .contains("driftline quickstart --sink fiddler")
    );
    assert_eq!(browser.problems, Vec::<String>::new());
}

/// What a run and its page have in common; `name` is for screenshots.
fn looks_right(browser: &mut Browser, run: &Value, name: &str) {
    browser.wait_for(SHOWN);
    let windows = run["windows"].as_array().unwrap();
    let bins: Vec<&Value> = windows
        .iter()
        .flat_map(|w| w["bins"].as_array().unwrap())
        .collect();

    let verdict = browser.text("#verdict-text");
    for window in windows {
        let (name, jsd) = (
            window["name"].as_str().unwrap(),
            window["statistics"]["jsd"].as_f64(),
        );
        let said = format!("{name} (JSD {:.3}, ", jsd.unwrap());
        assert_eq!(
            verdict.contains(&said),
            window["drifted"] == true,
            "{said}: {verdict}"
        );
    }
    let cells = |row: &[Value]| {
        row.iter()
            .map(|cell| cell.as_str().unwrap().trim().to_owned())
            .collect::<Vec<_>>()
    };
    let rows = |browser: &mut Browser, table: &str| -> Vec<Vec<String>> {
        let read = format!(
            "[...document.querySelectorAll('{table} tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
        );
        let rows = browser.value(&read);
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| cells(row.as_array().unwrap()))
            .collect()
    };
    let shown = rows(browser, "#verdict table");
    assert_eq!(shown.len(), windows.len());
    for (row, window) in shown.iter().zip(windows) {
        let drifted = if window["drifted"] == true {
            "drift"
        } else {
            "no drift"
        };
        assert_eq!(row[..2], [window["name"].as_str().unwrap(), drifted]);
        assert_eq!(row[2], four(&window["statistics"]["jsd"]));
        assert_eq!(row[3], four(&window["noise_floor"]));
        assert!(row[5] == "< 1e-9" || row[5].parse::<f64>().is_ok_and(|p| p <= 1.0));
        assert_eq!(row[6], four(&window["statistics"]["psi"]));
    }
    let shown = rows(browser, "#table");
    assert_eq!(shown.len(), bins.len());
    for (row, bin) in shown.iter().zip(&bins) {
        assert_eq!(row[0], bin["start"].as_str().unwrap()[..10]);
        assert_eq!(row[2].replace(',', ""), bin["rows"].to_string());
        assert_eq!(
            [&row[3], &row[4], &row[7]],
            [
                &four(&bin["jsd"]),
                &four(&bin["noise_floor"]),
                &four(&bin["psi"])
            ]
        );
    }

    by_keyboard(browser, &bins);
    for scheme in ["light", "dark"] {
        browser.scheme(scheme);
        accessible(browser, &format!("{name}, {scheme}"));
        keep(browser, &format!("{name}-{scheme}"));
    }
    browser.scheme("light");
    browser.resize(360, 800);
    // Nothing is wider than the window, once what was drawn for another is drawn again.
    browser.wait_for("document.documentElement.scrollWidth === 360");
    keep(browser, &format!("{name}-narrow"));
    browser.resize(1100, 1400);
    assert_eq!(browser.problems, Vec::<String>::new(), "{name}");
}

/// Goes to the first bin and on to the second, and looks at everything that belongs to it.
fn by_keyboard(browser: &mut Browser, bins: &[&Value]) {
    browser.value("document.getElementById('timeline').focus()");
    for (key, at) in [("Home", 0), ("ArrowRight", 1), ("End", bins.len() - 1)] {
        browser.press(key);
        let now =
            format!("document.getElementById('timeline').getAttribute('aria-valuenow') === '{at}'");
        browser.wait_for(&now);
        let spoken = "document.getElementById('timeline').getAttribute('aria-valuetext')";
        let spoken = browser.value(spoken);
        let jsd = four(&bins[at]["jsd"]);
        assert!(spoken.as_str().unwrap().contains(&jsd), "{spoken}: {jsd}");
        assert!(browser.text("#chosen-facts").contains(&jsd));
    }
    let outline = "getComputedStyle(document.getElementById('timeline')).outlineStyle";
    assert_eq!(browser.value(outline), "solid", "the focus can be seen");
    let loaded = format!(
        "document.querySelectorAll('#images figure').length === {} \
         && [...document.querySelectorAll('#images img')].filter(i => i.complete && i.naturalWidth === 32 && i.alt).length === {}",
        2 * PAIRS,
        2 * PAIRS
    );
    // Pictures below the window are loaded when they come near.
    browser.value("document.getElementById('images').scrollIntoView()");
    browser.wait_for(&loaded);
    browser.value("scrollTo(0, 0)");
    let described = browser
        .value("document.querySelector('#clusters svg[role=img]').getAttribute('aria-label')");
    assert_eq!(
        described.as_str().unwrap().matches("baseline").count(),
        5,
        "{described}"
    );
    assert_eq!(
        browser.value("document.querySelectorAll('#clusters .bar-window').length"),
        6
    );
    for (kind, least) in [("baseline", 400), ("window", 150)] {
        let count = browser.value(&format!(
            "document.querySelectorAll('#map .dot-{kind}').length"
        ));
        assert!(count.as_u64().unwrap() >= least, "{kind}: {count}");
    }
    browser.value("document.querySelector('[value=psi]').click()");
    let psi = four(&bins[bins.len() - 1]["psi"]);
    browser.wait_for(&format!(
        "document.getElementById('timeline').getAttribute('aria-valuetext').includes('PSI {psi}')"
    ));
    browser.value("document.querySelector('[value=jsd]').click()");
}

fn bins_of_another_size(browser: &mut Browser) {
    browser.value(
        "(() => { const size = document.getElementById('size'); size.value = 'week'; \
         size.dispatchEvent(new Event('change', { bubbles: true })); })()",
    );
    browser.wait_for("document.querySelector('#table th').textContent === 'week'");
    let rows = browser.value("document.querySelectorAll('#table tbody tr').length");
    assert!((3..=5).contains(&rows.as_u64().unwrap()), "{rows}");
    assert_eq!(browser.problems, Vec::<String>::new());
}

fn a_wrong_token_is_said(browser: &mut Browser, server: &Served) {
    browser.value("sessionStorage.clear()");
    browser.open(&format!("{}/#", server.url()));
    browser.value("location.reload()");
    browser.wait_for("!document.getElementById('token').hidden");
    browser.value(
        "(() => { document.getElementById('token-input').value = 'wrong'; \
         document.getElementById('token-form').requestSubmit(); })()",
    );
    browser.wait_for(
        "document.getElementById('token-reason').textContent.includes('does not accept')",
    );
    browser.value(&format!(
        "(() => {{ document.getElementById('token-input').value = '{TOKEN}'; \
         document.getElementById('token-form').requestSubmit(); }})()"
    ));
    browser.wait_for(SHOWN);
}

/// The rules of axe-core, where `DRIFTLINE_AXE` names its script.
fn accessible(browser: &mut Browser, place: &str) {
    let Some(script) = std::env::var_os("DRIFTLINE_AXE") else {
        println!("skipped: DRIFTLINE_AXE does not name the script of axe-core");
        return;
    };
    // Evaluated from outside, so that the page's own policy stays as strict as it is.
    let script = std::fs::read_to_string(script).unwrap();
    browser.value(&format!("{script}; undefined"));
    let found = browser.value(
        "axe.run().then(found => found.violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))]))",
    );
    assert_eq!(found, Value::Array(Vec::new()), "{place}");
}

/// Keeps a screenshot in the folder that `DRIFTLINE_SCREENSHOTS` names.
fn keep(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("DRIFTLINE_SCREENSHOTS") {
        let path = Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, browser.screenshot()).unwrap();
    }
}

fn four(value: &Value) -> String {
    format!("{:.4}", value.as_f64().unwrap())
}
