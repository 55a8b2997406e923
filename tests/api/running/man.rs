//! The manual pages, as groff formats them.

use std::{fs, path::Path, process::Output};

use auth_service::config::SETTINGS;
use serde_json::json;

use super::printed::{assert_fails, assert_json, assert_line, text};
use crate::support::{command, program};

fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, &[].into()).args(arguments).output().unwrap()
}

/// A page as a reader with a wide screen sees it, with one blank between words. Asserts that groff has no warning.
fn formatted(page: &Path) -> String {
    let output =
        program("groff").args(["-man", "-ww", "-Tascii", "-P-cbou", "-rHY=0", "-rLL=999n"]).arg(page).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "", "{}", page.display());
    let words: Vec<_> = text(&output.stdout).split_whitespace().collect();
    words.join(" ")
}

#[test]
fn the_page_of_the_server_has_every_setting_command_and_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["man"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let page = directory.path().join("auth-service.1");
    fs::write(&page, &output.stdout).unwrap();
    let page = formatted(&page);
    let sections = [
        "NAME auth-service - A stateless token server",
        "SYNOPSIS auth-service [SETTINGS] auth-service [SETTINGS] <COMMAND>",
        "DESCRIPTION",
        "OPTIONS --json",
        "COMMANDS auth-service-tokens(1) Remove the tokens of a user",
        "ENVIRONMENT",
        "EXAMPLES auth-service serve on http://127.0.0.1:3000",
        "EXIT STATUS 0",
        "FILES .env",
    ];
    let mut rest = page.as_str();
    for section in sections {
        rest = rest.split_once(section).unwrap_or_else(|| panic!("no {section:?} in {rest}")).1;
    }
    for setting in SETTINGS {
        for name in setting.names() {
            let flag = format!("{name}, --{} ", name.to_ascii_lowercase().replace('_', "-"));
            assert!(page.contains(&flag), "{flag}");
        }
    }
}

#[test]
fn every_command_has_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("share/man/man1");
    let arguments = ["man", "--output", pages.to_str().unwrap()];
    let output = run(directory.path(), &arguments);
    let files: Vec<_> = fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_line(&output, 0, &format!("{} manual pages are written", files.len()));
    let again = run(directory.path(), &[&arguments[..], &["--json"]].concat());
    assert_json(&again, 0, &json!({"result": "man_pages_written", "pages": files.len()}));
    assert!(files.len() > 20, "{files:?}");
    for file in &files {
        let page = formatted(file);
        for section in ["NAME auth-service", "EXAMPLES auth-service ", "EXIT STATUS 0"] {
            assert!(page.contains(section), "no {section:?} in {page}");
        }
    }
    let revoke = formatted(&pages.join("auth-service-tokens-revoke.1"));
    for part in [
        "NAME auth-service-tokens-revoke - Remove all tokens of a user",
        "SYNOPSIS auth-service tokens revoke [--json] [-h|--help] [-V|--version] <EMAIL>",
        "EXAMPLES auth-service tokens revoke ada@example.com",
        "NOTES The command accesses the store directly",
        "SEE ALSO auth-service(1)",
    ] {
        assert!(revoke.contains(part), "no {part:?} in {revoke}");
    }
    assert!(!revoke.contains("--redis-url"), "{revoke}");
}

#[test]
fn pages_that_cannot_be_written_are_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(directory.path(), arguments);
    assert_fails(run, &["man", "--output", "/dev/null/man1"], 1, "output_failed", "/dev/null/man1: ");
}
