//! `auth-service import`: adds the accounts of a file, one JSON object a line.

mod input;

use std::{collections::HashSet, io, mem, path::PathBuf, process::ExitCode, time::Duration};

use auth_service_password::HashCost;
use auth_service_records::error::{Error, Outage};
use auth_service_store::{NewUser, Store};
use auth_service_token::Id;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;
use tokio::time::sleep;

use self::input::{Input, LONGEST_LINE, Line};
use super::{
    account_line::{self, Reason},
    arguments::{self, store_help},
    output::{FAILED, Failed, Lines, Report},
    progress::Progress,
    store::on_target,
};
use crate::config::{Config, Sources};

/// The number of accounts in one write to the store. The embedded store commits them together.
const BATCH: usize = 4_096;
/// A batch is also full when its lines have this many bytes, because the unknown fields of a line take many times its
/// length in memory.
const BATCH_BYTES: usize = 4 << 20;

/// The number of tries of a batch. A busy Redis may answer late.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  auth-service import accounts.ndjson --dry-run
  auth-service import accounts.ndjson --redis-url redis://127.0.0.1
  auth-service export --redis-url redis://127.0.0.1 | auth-service import - --data-dir ./data

Each line is {\"email\": \"...\", \"password_hash\": \"...\", \"created_at\": \"...\", \"id\": \"...\"}, the last two optional, or a
line of `export`. docs/redis.md lists the forms of password hashes. The command prints the number of each line that
it refuses, with the reason, and imports the others. It never changes an account that is already there. If it is
interrupted, run it again: it skips the accounts that are already there.";

pub(super) fn command() -> Command {
    let failures = "It creates an embedded store if there is none. It exits with 1 if it has refused a line, or if the \
                    store is\nunavailable.";
    let file = Arg::new("file")
        .value_name("FILE")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("The file of accounts; - for standard input");
    let dry_run = Arg::new("dry-run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Check all lines and print what an import would do, but change nothing");
    arguments::command("import", "Add the accounts of a file", &store_help(EXAMPLES, failures)).args([file, dry_run])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    let mut lines = Lines::new(matches);
    let imported = import(matches, sources, &mut lines).and_then(|summary| {
        lines.print(&summary)?;
        Ok(summary.exit())
    });
    lines.finish(imported)
}

fn import(matches: &ArgMatches, sources: &Sources, lines: &mut Lines) -> Result<Summary, Failed> {
    let path = matches.get_one::<PathBuf>("file").ok_or_else(|| Failed::wrong_usage("FILE is required"))?;
    let unreadable =
        |error: io::Error| Failed::new("input_failed", format!("{} cannot be read: {error}", path.display()));
    let cost = Config::load_passwords(sources).map_err(|problems| Failed::wrong_settings(&problems))?.cost;
    let dry_run = matches.get_flag("dry-run");
    let mut input = Input::open(path).map_err(unreadable)?;
    on_target(sources, !dry_run, async |store, name| {
        let progress = Progress::new(input.size);
        let summary = Summary::new(dry_run, name);
        let mut import = Import { store, cost, lines, progress, batch: Batch::default(), summary };
        while let Some(line) = input.next_line().map_err(unreadable)? {
            let read = match line {
                Line::Text(line) => import.read(line).map(|new| (new, line.len())),
                Line::TooLong => Err(format!("it is longer than {LONGEST_LINE} bytes").into()),
            };
            match read {
                Ok((new, length)) => import.add(new, length).await?,
                Err(reason) => import.refuse(input.number, reason)?,
            }
            import.progress.show(input.number, input.bytes);
        }
        import.write().await?;
        Ok(import.summary)
    })
}

/// A running import.
struct Import<'a> {
    /// `None` if there is no store yet, and the import must not create it.
    store: Option<&'a Store>,
    cost: HashCost,
    lines: &'a mut Lines,
    progress: Progress,
    batch: Batch,
    summary: Summary,
}

/// The accounts of the next write.
#[derive(Default)]
struct Batch {
    users: Vec<NewUser>,
    tags: HashSet<Id>,
    /// The length of the lines.
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.users.len() >= BATCH || self.bytes >= BATCH_BYTES
    }
}

impl Import<'_> {
    fn read(&self, line: &[u8]) -> Result<NewUser, Reason> {
        account_line::read(line, self.store.map_or(0, Store::now_seconds), self.cost)
    }

    fn refuse(&mut self, line: u64, reason: Reason) -> Result<(), Failed> {
        self.summary.refused += 1;
        self.progress.hide();
        // The import goes on if nobody reads the reasons.
        self.lines.print(&Refused { line, error: reason }).map(|_| ())
    }

    /// Adds an account to the batch, and writes a full batch. The first of two lines with the same email wins.
    /// `length` is that of the line, in bytes.
    async fn add(&mut self, new: NewUser, length: usize) -> Result<(), Failed> {
        if !self.batch.tags.insert(new.tag) {
            self.summary.already_there += 1;
            return Ok(());
        }
        self.batch.users.push(new);
        self.batch.bytes += length;
        if self.batch.is_full() { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), Failed> {
        let Batch { users, .. } = mem::take(&mut self.batch);
        let added = match self.store {
            None => vec![true; users.len()],
            Some(store) if self.summary.dry_run => {
                let tags: Vec<_> = users.iter().map(|new| new.tag).collect();
                store.have_accounts(&tags).await?.into_iter().map(|is_there| !is_there).collect()
            }
            Some(store) => import_batch(store, &users).await.map_err(|error| self.interrupted(error.into()))?,
        };
        let imported = added.iter().filter(|added| **added).count() as u64;
        self.summary.imported += imported;
        self.summary.already_there += added.len() as u64 - imported;
        Ok(())
    }

    fn interrupted(&self, failed: Failed) -> Failed {
        failed.and(&format!("accounts imported so far: at least {}, which the next run skips", self.summary.imported))
    }
}

/// Adds a batch. After a late answer, adds it again: what the first try has added then counts as already there.
async fn import_batch(store: &Store, batch: &[NewUser]) -> Result<Vec<bool>, Error> {
    for _ in 1..TRIES {
        match store.import_users(batch).await {
            Err(Error::Unavailable(Outage::Timeout | Outage::Unreachable)) => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
    store.import_users(batch).await
}

/// A line that is not imported.
#[derive(Serialize)]
struct Refused {
    line: u64,
    error: Reason,
}

impl Report for Refused {
    fn text(&self) -> String {
        format!("line {}: {}", self.line, self.error)
    }
}

#[derive(Serialize)]
struct Summary {
    result: &'static str,
    imported: u64,
    already_there: u64,
    refused: u64,
    #[serde(skip)]
    dry_run: bool,
    /// The name of the store.
    #[serde(skip)]
    into: String,
}

impl Summary {
    fn new(dry_run: bool, into: String) -> Self {
        let result = if dry_run { "checked" } else { "imported" };
        Self { result, imported: 0, already_there: 0, refused: 0, dry_run, into }
    }
}

impl Report for Summary {
    fn text(&self) -> String {
        let Self { imported, already_there, refused, dry_run, into, .. } = self;
        let verb = if *dry_run { "that would be imported" } else { "imported" };
        format!("Accounts {verb} into {into}: {imported}; already there: {already_there}; refused lines: {refused}")
    }

    fn exit(&self) -> u8 {
        if self.refused == 0 { 0 } else { FAILED }
    }
}
