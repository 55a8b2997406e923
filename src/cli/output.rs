//! The output of a command, and the exit code of the process.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use auth_service_records::error::{Error, Outage};
use auth_service_store::backend::OpenError;
use clap::ArgMatches;
use serde::Serialize;

/// Exit code of a command that failed: nothing was found, or the store cannot be reached.
pub const FAILED: u8 = 1;
/// Exit code for wrong usage and wrong settings.
pub const WRONG_USAGE: u8 = 2;

/// The result of a command: text for people, one JSON object for programs.
pub(super) trait Report: Serialize {
    /// The text, without a line break at its end.
    fn text(&self) -> String;

    /// The exit code.
    fn exit(&self) -> u8 {
        0
    }
}

/// Why a command failed: a sentence for people, one JSON object for programs.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    error: String,
    code: &'static str,
    #[serde(skip)]
    exit: u8,
}

impl Failed {
    pub(super) fn new(code: &'static str, error: impl Into<String>) -> Self {
        Self { error: error.into(), code, exit: FAILED }
    }

    pub(super) fn wrong_usage(error: impl Into<String>) -> Self {
        Self { error: error.into(), code: "wrong_usage", exit: WRONG_USAGE }
    }

    /// The failure of wrong settings. `problems` has one sentence for each.
    pub(super) fn wrong_settings(problems: &[String]) -> Self {
        Self::wrong_usage(problems.join("; "))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            // The sentence of this outage says what to do.
            Error::Unavailable(outage @ Outage::NewerVersion) => Self::new(outage.code(), outage.to_string()),
            Error::Unavailable(outage) => Self::new(outage.code(), format!("{outage}; run the command again later")),
            Error::NotReplicated => Self::new(
                "not_replicated",
                "the change was made, but too few replicas have it, so a failover may undo it; run the command again \
                 until it finds nothing to change",
            ),
            Error::Internal(detail) => Self::new("internal_error", detail),
            _ => Self::new("failed", "the store did not carry out the command; run the command again"),
        }
    }
}

impl From<OpenError> for Failed {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Settings(sentence) => Self::wrong_usage(sentence),
            OpenError::Failed(sentence) => Self::new("store_not_opened", sentence),
        }
    }
}

/// Prints the outcome of a command. With `--json`, a failure goes to standard output too, so that programs need to read
/// only one stream.
pub(super) fn report(matches: &ArgMatches, outcome: Result<impl Report, Failed>) -> ExitCode {
    let json = matches.get_flag("json");
    // Structs of text and numbers always serialize.
    let (text, exit) = match outcome {
        Ok(outcome) if json => (serde_json::to_string(&outcome).unwrap_or_default(), outcome.exit()),
        Ok(outcome) => (outcome.text(), outcome.exit()),
        Err(failed) if json => (serde_json::to_string(&failed).unwrap_or_default(), failed.exit),
        Err(failed) => {
            print_error(&failed.error);
            return ExitCode::from(failed.exit);
        }
    };
    match writeln!(io::stdout(), "{text}") {
        // A reader such as `head` closes the pipe early. The command has succeeded nevertheless.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failed(&format!("the output cannot be written: {error}"))
        }
        _ => ExitCode::from(exit),
    }
}

/// Prints the sentences about wrong settings.
#[must_use]
pub fn wrong_settings(problems: &[String]) -> ExitCode {
    for problem in problems {
        print_error(problem);
    }
    print_error("see `auth-service --help` for all settings");
    ExitCode::from(WRONG_USAGE)
}

/// Prints why the store cannot be opened.
#[must_use]
pub fn cannot_open(error: &OpenError) -> ExitCode {
    match error {
        OpenError::Settings(sentence) => wrong_settings(std::slice::from_ref(sentence)),
        OpenError::Failed(sentence) => failed(sentence),
    }
}

/// Prints why the process ends.
#[must_use]
pub fn failed(error: &impl std::fmt::Display) -> ExitCode {
    print_error(error);
    ExitCode::from(FAILED)
}

fn print_error(sentence: &(impl std::fmt::Display + ?Sized)) {
    // `eprintln` would panic if nobody reads standard error any more, for example after its terminal was closed.
    let _ = writeln!(io::stderr(), "auth-service: {sentence}");
}
