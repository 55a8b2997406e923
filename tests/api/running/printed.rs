//! Assertions on what commands print: text for people, JSON for programs.

use std::process::Output;

use serde_json::Value;

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Asserts the exit code, and that the command prints only this line.
#[track_caller]
pub(super) fn assert_line(output: &Output, code: i32, line: &str) {
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), format!("{line}\n").as_str()), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[track_caller]
pub(super) fn assert_json(output: &Output, code: i32, expected: &Value) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 1, "{output:?}");
    assert_eq!(&serde_json::from_slice::<Value>(&output.stdout).unwrap(), expected, "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// Asserts a failure: one line on standard error; with `--json`, the same sentence as JSON on standard output.
#[track_caller]
pub(super) fn assert_fails(run: impl Fn(&[&str]) -> Output, arguments: &[&str], code: i32, name: &str, sentence: &str) {
    let output = run(arguments);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), ""), "{output:?}");
    let line = text(&output.stderr);
    assert!(line.starts_with("auth-service: ") && line.contains(sentence), "{output:?}");
    assert_eq!(line.lines().count(), 1, "{output:?}");
    let output = run(&[arguments, &["--json"]].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(code), ""), "{output:?}");
    let body: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(body["code"], name, "{output:?}");
    assert!(body["error"].as_str().unwrap().contains(sentence), "{output:?}");
}
