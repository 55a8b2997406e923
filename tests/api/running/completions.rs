//! The completions of the command line, in real shells.

use std::{path::Path, process::Output};

use rstest::rstest;

use super::printed::text;
use crate::support::{command, program};

fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, &[].into()).args(arguments).output().unwrap()
}

/// The completions that bash offers after these words. The last word is incomplete.
fn completed(script: &Path, words: &str) -> Vec<String> {
    // Like readline, calls the function with the program, the word, and the word before. `compopt` works only in
    // readline.
    let complete = r#"
        compopt() { true; }
        source "$1"
        read -ra COMP_WORDS <<<"$2"
        [[ $2 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        [[ $(complete -p auth-service) =~ -F\ ([^ ]+) ]]
        "${BASH_REMATCH[1]}" auth-service "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = program("bash").args(["-uc", complete, "bash"]).arg(script).arg(words).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
    text(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("auth-service");
    std::fs::write(&script, run(directory.path(), &["completions", "bash"]).stdout).unwrap();
    std::fs::write(directory.path().join("accounts.ndjson"), "").unwrap();
    for (words, offered) in [
        ("auth-service to", &["tokens"][..]),
        ("auth-service user s", &["show", "set-password"]),
        ("auth-service user show --j", &["--json"]),
        ("auth-service --redis-u", &["--redis-url", "--redis-url-file", "--redis-username"]),
        ("auth-service completions z", &["zsh"]),
        ("auth-service user set-password ada@example.com --", &["--help", "--json", "--version"]),
    ] {
        let mut completed = completed(&script, words);
        completed.sort();
        let mut offered = offered.to_vec();
        offered.sort_unstable();
        assert_eq!(completed, offered, "{words}");
    }
    let file = directory.path().join("acc");
    let words = format!("auth-service --auth-secret-key-file {}", file.display());
    assert_eq!(completed(&script, &words), [format!("{}ounts.ndjson", file.display())]);
}

#[rstest]
#[case("zsh", "#compdef auth-service")]
#[case("fish", "complete -c auth-service ")]
#[case("elvish", "set edit:completion:arg-completer[auth-service]")]
#[case("powershell", "Register-ArgumentCompleter -Native -CommandName 'auth-service'")]
fn other_shells_have_completions_too(#[case] shell: &str, #[case] of_the_shell: &str) {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["completions", shell]);
    let script = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    for part in [of_the_shell, "set-password", "redis-url"] {
        assert!(script.contains(part), "{part}: {script}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn an_unknown_shell_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["completions"][..], &["completions", "ksh"], &["completions", "bash", "more"]] {
        let output = run(directory.path(), arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{arguments:?} {output:?}");
    }
}
