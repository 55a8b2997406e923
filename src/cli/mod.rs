//! The command line: which command was given, with which settings. One file per noun.

mod doctor;
mod health;
mod secrets;
mod sessions;
mod tokens;
mod user;

use std::{
    collections::HashMap,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;

use crate::{
    config::{Config, SETTINGS, Setting, Sources, StoreConfig},
    error::Error,
    session::SessionPolicy,
    store::{Backend, OpenError, Store},
    user::Email,
};

/// Exit code: not done (nothing found, store away).
pub const FAILED: u8 = 1;
/// Exit code: wrong usage or settings.
pub const WRONG_USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  auth-service                                     serve on http://127.0.0.1:3000 from the embedded store
  auth-service --port 8080 --data-dir /var/lib/auth
  REDIS_URL=redis://127.0.0.1 auth-service         serve as one of any number of replicas
  auth-service secrets generate >> .env            make the two secrets that replicas share
  auth-service tokens revoke ada@example.com       end all of a user's tokens

Exit codes: 0 done, 1 failed, 2 wrong usage or settings.";

const TOKENS_EXAMPLES: &str = "\
Examples:
  auth-service tokens revoke ada@example.com
  auth-service tokens revoke ada@example.com --json

Works straight in the store: on Redis whether or not servers run, on the embedded store while the server is stopped.
Exits 1 when the user has no tokens or the store is away.";

const SESSIONS_EXAMPLES: &str = "\
Examples:
  auth-service sessions list ada@example.com
  auth-service sessions end ada@example.com SESSION_ID

Works straight in the store: on Redis whether or not servers run, on the embedded store while the server is stopped.
Exits 1 when there is no such session or the store is away; a user without sessions is an empty list.";

const USER_EXAMPLES: &str = "\
Examples:
  auth-service user show ada@example.com --json
  auth-service user delete ada@example.com

Works straight in the store: on Redis whether or not servers run, on the embedded store while the server is stopped.
Exits 1 when there is no such user or the store is away.";

const SECRETS_EXAMPLES: &str = "\
Examples:
  auth-service secrets generate >> .env
  auth-service secrets generate --json";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  auth-service doctor
  REDIS_URL=redis+sentinel://10.0.0.1,10.0.0.2/accounts auth-service doctor --json

Looks at the store that the settings name: clock, permissions, eviction, persistence, memory, replicas. Exits 1 when the
server would not start on it, or when it cannot be reached.";

const HEALTH_EXAMPLES: &str = "\
Examples:
  auth-service health                 asks http://127.0.0.1:3000/readyz
  auth-service health --port 8080

Exits 0 when the server on this machine is ready, else 1.";

/// What the command line asks for.
pub enum Invocation {
    /// Serve, with these settings.
    Serve(Sources),
    /// A command, which has been carried out.
    Done(ExitCode),
}

/// Parses the command line, and carries out every command but serving. Wrong usage ends the process with status 2.
pub fn run() -> Invocation {
    let matches = command().get_matches();
    let flags = SETTINGS.iter().flat_map(Setting::names).filter_map(|name| {
        let value = matches.get_one::<String>(&name)?.clone();
        Some((name, value))
    });
    let sources = Sources::new(flags.collect::<HashMap<_, _>>());
    let code = match matches.subcommand() {
        Some(("tokens", matches)) => tokens::run(matches, &sources),
        Some(("sessions", matches)) => sessions::run(matches, &sources),
        Some(("user", matches)) => user::run(matches, &sources),
        Some(("secrets", matches)) => secrets::run(matches),
        Some(("doctor", matches)) => doctor::run(matches, &sources),
        Some(("health", matches)) => health::run(matches, &sources),
        _ => return Invocation::Serve(sources),
    };
    Invocation::Done(code)
}

/// Prints what is wrong with the settings.
#[must_use]
pub fn wrong_settings(problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("auth-service: {problem}");
    }
    eprintln!("auth-service: see `auth-service --help` for all settings");
    ExitCode::from(WRONG_USAGE)
}

/// Prints why the store could not be opened.
#[must_use]
pub fn cannot_open(error: &OpenError) -> ExitCode {
    match error {
        OpenError::Settings(message) => wrong_settings(std::slice::from_ref(message)),
        OpenError::Failed(message) => {
            eprintln!("auth-service: {message}");
            ExitCode::from(FAILED)
        }
    }
}

fn command() -> Command {
    let group = |command: Command| command.subcommand_required(true).arg_required_else_help(true);
    Command::new("auth-service")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A stateless token server: accounts, sessions and tokens in Redis, or in an embedded store on one node")
        .after_help(EXAMPLES)
        .propagate_version(true)
        .args(SETTINGS.iter().flat_map(flags))
        .arg(Arg::new("json").long("json").global(true).action(ArgAction::SetTrue).help("Print one JSON object"))
        .subcommand(group(Command::new("tokens").about("A user's tokens").after_help(TOKENS_EXAMPLES)).subcommand(
            Command::new("revoke").about("End all of a user's tokens").arg(email()).after_help(TOKENS_EXAMPLES),
        ))
        .subcommand(
            group(Command::new("sessions").about("A user's sessions").after_help(SESSIONS_EXAMPLES))
                .subcommand(
                    Command::new("list")
                        .about("Print a user's live sessions")
                        .arg(email())
                        .after_help(SESSIONS_EXAMPLES),
                )
                .subcommand(
                    Command::new("end")
                        .about("End one session")
                        .arg(email())
                        .arg(positional("id", "ID", "As `sessions list` prints it"))
                        .after_help(SESSIONS_EXAMPLES),
                ),
        )
        .subcommand(
            group(Command::new("user").about("An account").after_help(USER_EXAMPLES))
                .subcommand(Command::new("show").about("Print an account").arg(email()).after_help(USER_EXAMPLES))
                .subcommand(
                    Command::new("delete")
                        .about("Delete an account and end all its tokens")
                        .arg(email())
                        .after_help(USER_EXAMPLES),
                ),
        )
        .subcommand(group(Command::new("secrets").about("Signing secrets").after_help(SECRETS_EXAMPLES)).subcommand(
            Command::new("generate").about("Print two new secrets, as lines for .env").after_help(SECRETS_EXAMPLES),
        ))
        .subcommand(
            Command::new("doctor").about("Look at the store, and say what to change").after_help(DOCTOR_EXAMPLES),
        )
        .subcommand(
            Command::new("health")
                .about("Ask the server on this machine whether it is ready")
                .after_help(HEALTH_EXAMPLES),
        )
}

fn email() -> Arg {
    positional("email", "EMAIL", "The account's email address")
}

/// One session id in 64 begins with a hyphen, and an address may.
fn positional(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(name).required(true).allow_hyphen_values(true).help(help)
}

fn flags(setting: &'static Setting) -> impl Iterator<Item = Arg> {
    setting.names().map(|name| {
        let help = if name == setting.name {
            format!("{} [default: {}]", setting.help, setting.default)
        } else {
            format!("File that holds {}", setting.name)
        };
        Arg::new(name.clone())
            .long(name.to_ascii_lowercase().replace('_', "-"))
            .value_name(if name == setting.name { "VALUE" } else { "PATH" })
            .global(true)
            .hide_short_help(true)
            .help_heading("Settings (each also from the environment or .env, in capitals with underscores)")
            .help(help)
    })
}

/// What a command found, printed as one line for people or one object for programs.
trait Report: Serialize {
    fn line(&self) -> String;

    fn exit(&self) -> u8 {
        0
    }
}

/// Why a command failed, likewise.
#[derive(Debug, Serialize)]
struct Failed {
    error: String,
    code: &'static str,
    #[serde(skip)]
    exit: u8,
}

impl Failed {
    fn new(code: &'static str, error: impl Into<String>) -> Self {
        Self { error: error.into(), code, exit: FAILED }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(outage) => Self::new(outage.code(), format!("{outage}; run the command again later")),
            Error::NotReplicated => Self::new(
                "not_replicated",
                "done, but too few replicas have it yet, and it may be lost; run the command again",
            ),
            Error::Internal(detail) => Self::new("internal_error", detail),
            _ => Self::new("failed", "The command could not be carried out"),
        }
    }
}

fn report(matches: &ArgMatches, outcome: Result<impl Report, Failed>) -> ExitCode {
    let json = matches.get_flag("json");
    // Our own structs of text and numbers always serialize.
    let (line, exit) = match outcome {
        Ok(outcome) if json => (serde_json::to_string(&outcome).unwrap_or_default(), outcome.exit()),
        Ok(outcome) => (outcome.line(), outcome.exit()),
        Err(failed) if json => (serde_json::to_string(&failed).unwrap_or_default(), failed.exit),
        Err(failed) => {
            eprintln!("auth-service: {}", failed.error);
            return ExitCode::from(failed.exit);
        }
    };
    match writeln!(io::stdout(), "{line}") {
        // The reader may have gone before the end, as `head` does: what was asked for is done all the same.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("auth-service: the outcome cannot be written: {error}");
            ExitCode::from(FAILED)
        }
        _ => ExitCode::from(exit),
    }
}

/// Runs `work` on the store that the settings name, for the account of the EMAIL argument.
fn on_store<T, F>(matches: &ArgMatches, sources: &Sources, work: impl FnOnce(Store, Email) -> F) -> Result<T, Failed>
where
    F: Future<Output = Result<T, Failed>>,
{
    let email = matches.get_one::<String>("email").and_then(|text| Email::parse(text));
    let email =
        email.ok_or_else(|| usage("EMAIL must be a valid email address, such as name@example.com".to_owned()))?;
    on_backend(sources, async |backend| work(backend.connect().await, email).await)
}

fn usage(error: String) -> Failed {
    Failed { error, code: "wrong_usage", exit: WRONG_USAGE }
}

/// Runs `work` on the store that the settings name, which has been checked.
fn on_backend<T>(sources: &Sources, work: impl AsyncFnOnce(Backend) -> Result<T, Failed>) -> Result<T, Failed> {
    on_unchecked_backend(sources, async |backend| match backend.check().await.map_err(not_opened)? {
        Some(reason) => Err(Failed::new("store_unreachable", reason)),
        None => work(backend).await,
    })
}

fn not_opened(error: OpenError) -> Failed {
    match error {
        OpenError::Settings(message) => usage(message),
        OpenError::Failed(message) => Failed::new("store_not_opened", message),
    }
}

/// Runs `work` on the store that the settings name.
fn on_unchecked_backend<T>(
    sources: &Sources,
    work: impl AsyncFnOnce(Backend) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let config = Config::load_store(sources).map_err(|problems| usage(problems.join("; ")))?;
    if let StoreConfig::Embedded { directory } = &config
        && !Backend::exists(&config)
    {
        let directory = directory.display();
        return Err(usage(format!("there is no embedded store in {directory}; set DATA_DIR, or REDIS_URL for Redis")));
    }
    // No command opens or refreshes a session, so that the policy is never used.
    let policy = SessionPolicy {
        access_seconds: 0,
        refresh_seconds: 0,
        rotation: false,
        grace_seconds: 0,
        max_age_seconds: None,
        max_sessions: 1,
    };
    let backend = Backend::open(&config, policy);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failed::new("internal_error", error.to_string()))?;
    let backend = backend.map_err(not_opened)?;
    runtime.block_on(work(backend))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
