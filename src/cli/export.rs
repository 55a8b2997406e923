//! `auth-service export`: writes all accounts, one JSON object a line.

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Serialize;

use super::{
    account_line,
    arguments::{self, store_help},
    output::{Failed, Report, failed_with, report},
    progress::Progress,
    store::on_reachable,
};
use crate::config::Sources;

const EXAMPLES: &str = "\
Examples:
  auth-service export --output accounts.ndjson
  auth-service export --data-dir ./data | auth-service import - --redis-url redis://127.0.0.1";

pub(super) fn command() -> Command {
    let failures = "It exits with 1 if the store is unavailable, or if an account cannot be read. Then the output is \
                    not complete.\n\nThe output has the email addresses and the password hashes of all accounts, so \
                    protect it like a secret. It has no\nsessions and no tokens.";
    let output = Arg::new("output")
        .long("output")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Write to this file, which only you can read, instead of standard output");
    arguments::command("export", "Write all accounts, one JSON object a line", &store_help(EXAMPLES, failures))
        .arg(output)
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.get_one::<PathBuf>("output") {
        Some(path) => report(matches, write_file(path, sources)),
        // Standard output has the accounts, so that a failure is no line of JSON there.
        None => match write_all(&mut io::stdout().lock(), sources) {
            Ok(_) => ExitCode::SUCCESS,
            Err(failed) => failed_with(&failed),
        },
    }
}

#[derive(Serialize)]
struct Exported {
    result: &'static str,
    accounts: u64,
}

impl Report for Exported {
    fn text(&self) -> String {
        format!("Accounts exported: {}", self.accounts)
    }
}

/// Writes a temporary file and renames it, so that a file of this name is always complete.
fn write_file(path: &Path, sources: &Sources) -> Result<Exported, Failed> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let explain = |error: io::Error| Failed::new("output_failed", format!("{}: {error}", path.display()));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(explain(error)),
        _ => {}
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished).map_err(explain)?;
    let written = write_all(&mut file, sources).and_then(|accounts| {
        file.sync_all().and_then(|()| fs::rename(&unfinished, path)).map_err(explain)?;
        Ok(accounts)
    });
    let accounts = written.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    Ok(Exported { result: "exported", accounts })
}

/// Writes the lines of all accounts. Returns their number.
fn write_all(out: &mut impl Write, sources: &Sources) -> Result<u64, Failed> {
    let mut out = BufWriter::new(out);
    on_reachable(sources, async |backend| {
        let mut users = backend.users().await?;
        let mut progress = Progress::new(None);
        let mut accounts = 0;
        loop {
            let page = users.next_page().await?;
            if page.is_empty() {
                out.flush().map_err(|error| Failed::unwritable(&error))?;
                return Ok(accounts);
            }
            for stored in page {
                writeln!(out, "{}", account_line::write(&stored)).map_err(|error| Failed::unwritable(&error))?;
                accounts += 1;
            }
            progress.show(accounts, 0);
        }
    })
}
