//! Checks the files of `deploy/monitoring` and the runbook without a server.

use std::{collections::BTreeSet, fs};

use crate::{
    prometheus::DIRECTORY,
    support::{program, run_to_end},
};

const RUNBOOK: &str = "docs/monitoring.md";
const README: &str = "deploy/monitoring/README.md";

/// Runs the commands that the page shows, and checks the configuration, too.
#[test]
fn promtool_accepts_the_files() {
    let page = fs::read_to_string(README).unwrap();
    let (_, block) = page.split_once("```sh\npromtool ").unwrap();
    let shown = format!("promtool {}", block.split_once("```").unwrap().0);
    let mut command = program("bash");
    command.args(["-euc", &format!("{} && promtool check config {DIRECTORY}/prometheus.yml", shown.trim_end())]);
    let output = run_to_end(command);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(output.status.success(), "{said}");
}

/// The part of `lines` after `prefix`.
fn after(lines: &str, prefix: &str) -> Vec<String> {
    lines.lines().filter_map(|line| line.trim().strip_prefix(prefix)).map(str::to_owned).collect()
}

#[test]
fn the_runbook_has_each_alert_and_no_other() {
    let rules = fs::read_to_string(format!("{DIRECTORY}/alerts.yml")).unwrap();
    let alerts = after(&rules, "- alert: ");
    assert!(alerts.len() >= 20, "{alerts:?}");
    let page = fs::read_to_string(RUNBOOK).unwrap();
    let headings: Vec<_> =
        after(&page, "### ").into_iter().filter(|heading| heading.starts_with("AuthService")).collect();
    assert_eq!(headings, alerts, "the headings of {RUNBOOK}, in the order of the rules");
    let severities = after(&rules, "labels: {severity: ");
    for (alert, severity) in alerts.iter().zip(severities) {
        let says = format!("\n### {alert}\n\n{}. ", severity.trim_end_matches('}'));
        assert!(page.contains(&says), "{RUNBOOK} does not say: {says}");
    }
    let links = after(&rules, "runbook_url: ");
    let expected: Vec<_> = alerts.iter().map(|alert| format!("{RUNBOOK}#{}", alert.to_lowercase())).collect();
    assert_eq!(links, expected);
}

#[test]
fn each_alert_has_a_severity_and_a_case_in_which_it_fires() {
    let rules = fs::read_to_string(format!("{DIRECTORY}/alerts.yml")).unwrap();
    let cases = fs::read_to_string(format!("{DIRECTORY}/alerts_test.yml")).unwrap();
    let alerts = after(&rules, "- alert: ");
    let untested: Vec<_> = alerts.iter().filter(|name| !cases.contains(&format!("alertname=\"{name}\""))).collect();
    assert!(untested.is_empty(), "alerts_test.yml has no case for: {untested:?}");
    let severities = after(&rules, "labels: {severity: ");
    let known = BTreeSet::from(["critical}", "warning}", "info}"]);
    assert_eq!(severities.len(), alerts.len());
    assert!(severities.iter().all(|severity| known.contains(severity.as_str())), "{severities:?}");
}
