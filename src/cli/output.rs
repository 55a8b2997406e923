//! The output of a command, and the exit code of the process.

use std::{
    io::{self, BufWriter, Stdout, Write},
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

    /// Adds a sentence.
    pub(super) fn and(mut self, sentence: &str) -> Self {
        self.error = format!("{}; {sentence}", self.error);
        self
    }

    pub(super) fn wrong_usage(error: impl Into<String>) -> Self {
        Self { error: error.into(), code: "wrong_usage", exit: WRONG_USAGE }
    }

    pub(super) fn user_not_found(email: &str) -> Self {
        Self::new("user_not_found", format!("there is no account {email}"))
    }

    /// The failure of an account that every attempt to change it has found changed.
    pub(super) fn user_changed(email: &str) -> Self {
        let sentence = format!("the account {email} changed during every attempt to change it; run the command again");
        Self::new("user_changed", sentence)
    }

    pub(super) fn unwritable(error: &io::Error) -> Self {
        Self::new("output_failed", format!("the output cannot be written: {error}"))
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
    let mut lines = Lines::new(matches);
    let printed = outcome.and_then(|outcome| {
        lines.print(&outcome)?;
        Ok(outcome.exit())
    });
    lines.finish(printed)
}

/// Prints results one by one, as the command finds them: a line of text or one JSON object for each.
pub(super) struct Lines {
    json: bool,
    out: BufWriter<Stdout>,
}

impl Lines {
    /// Nothing is printed yet.
    pub(super) fn new(matches: &ArgMatches) -> Self {
        Self { json: matches.get_flag("json"), out: BufWriter::new(io::stdout()) }
    }

    /// Prints a result. Returns `false` if nobody reads the output any more, because a reader such as `head` closes the
    /// pipe early. That is not a failure.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(super) fn print(&mut self, line: &impl Report) -> Result<bool, Failed> {
        let text = if self.json { json(line) } else { line.text() };
        written(writeln!(self.out, "{text}"))
    }

    /// Prints what is left, and the failure of the command. Returns the exit code.
    pub(super) fn finish(mut self, exit: Result<u8, Failed>) -> ExitCode {
        let exit = exit.and_then(|exit| written(self.out.flush()).map(|_| exit));
        let failed = match exit {
            Ok(exit) => return ExitCode::from(exit),
            Err(failed) => failed,
        };
        if !self.json || written(writeln!(self.out, "{}", json(&failed)).and_then(|()| self.out.flush())).is_err() {
            let _ = self.out.flush();
            print_error(&failed.error);
        }
        ExitCode::from(failed.exit)
    }
}

/// Prints a document for another program. `--json` does not change the document.
pub(super) fn print_document(document: &[u8]) -> ExitCode {
    match written(io::stdout().write_all(document)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(failed) => failed_with(&failed),
    }
}

/// Whether anybody still reads the output.
fn written(outcome: io::Result<()>) -> Result<bool, Failed> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failed::unwritable(&error)),
    }
}

fn json(line: &impl Serialize) -> String {
    // Structs of text and numbers always serialize.
    serde_json::to_string(line).unwrap_or_default()
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

/// Prints why a command failed on standard error, also with `--json`.
pub(super) fn failed_with(failed: &Failed) -> ExitCode {
    print_error(&failed.error);
    ExitCode::from(failed.exit)
}

fn print_error(sentence: &(impl std::fmt::Display + ?Sized)) {
    // `eprintln` would panic if nobody reads standard error any more, for example after its terminal was closed.
    let _ = writeln!(io::stderr(), "auth-service: {sentence}");
}
