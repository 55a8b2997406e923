//! `auth-service keys`: the ES256 keys that the servers make and keep in the store.
//!
//! | file | contents |
//! |---|---|
//! | `list` | prints the keys |
//! | `change` | makes the next key, and revokes one |
//! | `access` | the store and the secrets of these commands |

mod access;
mod change;
mod list;

use std::process::ExitCode;

use clap::{ArgMatches, Command};

pub(super) use self::change::remove_unopenable;
use super::{
    arguments::{self, group, positional, store_help},
    output::{WRONG_USAGE, report},
};
use crate::config::Sources;

const EXAMPLES: &str = "\
Examples:
  auth-service keys list
  auth-service keys rotate
  auth-service keys revoke tQ1hqvmNKVmLhCKrZXFpPlqAYO8lOWUAvDx2hfl9gpk";

const FAILURES: &str = "With SIGNING_KEY_FILE, the keys are in that file, and these commands refuse to run. They exit with 1 if \
                        there is\nnothing to do, or if the store is unavailable.";

const ROTATE: &str = "\
Makes the next key now. It is published at once, and signs after SIGNING_KEY_LEAD_SECONDS, so that verifiers have read
it. The current key stays published until its last token has ended.";

const REVOKE: &str = "\
Use this command if somebody else may know the private key. All tokens of the key end at once: clients refresh their
access tokens, and nobody has to sign in again. If the key signs, the waiting key or a new one takes over in two seconds,
and then the key goes. Verifiers that cache the published keys need to know the new key: see docs/secrets.md.";

pub(super) fn command() -> Command {
    let help = store_help(EXAMPLES, FAILURES);
    let list = arguments::command("list", "Print the keys of ES256, and which key signs", &help);
    let rotate = arguments::command("rotate", "Make the next key, which signs after the lead", &help);
    let kid = positional("kid", "KID", "The id of the key, as `keys list` prints it");
    let revoke = arguments::command("revoke", "Remove a key and end all its tokens", &help).arg(kid);
    let subcommands = [list, rotate.long_about(ROTATE), revoke.long_about(REVOKE)];
    group("keys", "Print, rotate or revoke the keys of ES256", &help).subcommands(subcommands)
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("list", matches)) => report(matches, list::list(sources)),
        Some(("rotate", matches)) => report(matches, change::rotate(sources)),
        Some(("revoke", matches)) => report(matches, change::revoke(matches, sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
}
