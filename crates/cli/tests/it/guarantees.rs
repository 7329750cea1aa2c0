//! Every promise of docs/src/reference/guarantees.md names tests that exist.

use std::path::Path;

#[test]
fn every_promise_names_tests_that_exist() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference");
    let page = std::fs::read_to_string(folder.join("guarantees.md")).unwrap();
    let mut tests = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let named: Vec<(&str, &str)> = line
            .split("[`")
            .skip(1)
            .map(|link| {
                let (name, rest) = link.split_once("`](").unwrap();
                (name, rest.split_once(')').unwrap().0)
            })
            .collect();
        let is_head = line.starts_with("| promise") || line.starts_with("| ---");
        assert!(is_head || !named.is_empty(), "no test is named: {line}");
        for (name, file) in named {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            assert!(text.contains(&format!("fn {name}(")), "{name} in {file}");
            tests += 1;
        }
    }
    assert!(tests > 50, "{tests} tests are named");
}
