//! `auth-service user`: accounts.

mod changes;
mod list;
mod second_factor;
mod shown;

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use self::{
    changes::{VERIFIED, create, delete, set_password, verify},
    list::list,
    second_factor::remove_totp,
    shown::Shown,
};
use super::{
    arguments::{self, email, group, store_help},
    output::{Failed, WRONG_USAGE, report},
    store::on_account,
};
use crate::config::Sources;

const EXAMPLES: &str = "\
Examples:
  auth-service user create ada@example.com --verified < password.txt
  auth-service user show ada@example.com --json
  auth-service user list --json
  auth-service user set-password ada@example.com
  auth-service user verify ada@example.com
  auth-service user remove-totp ada@example.com
  auth-service user delete ada@example.com";

pub(super) fn command() -> Command {
    let failures = "It exits with 1 if the account does not exist, if a new account exists already, or if the store is \
                    unavailable.\n`create` and `set-password` read the password from standard input. On a terminal, \
                    they ask for the password, and do\nnot show it. The rules for passwords are those of a sign-up. \
                    `list --json` prints one object a line.";
    let help = store_help(EXAMPLES, failures);
    let verified = Arg::new(VERIFIED).long(VERIFIED).action(ArgAction::SetTrue).help("The email is verified already");
    let create = arguments::command("create", "Create an account", &help).arg(email()).arg(verified);
    let show = arguments::command("show", "Print an account", &help).arg(email());
    let list = arguments::command("list", "Print all accounts, in no particular order", &help);
    let set_password =
        arguments::command("set-password", "Replace the password of an account and end all its tokens", &help)
            .arg(email());
    let verify = arguments::command("verify", "Mark the email of an account as verified", &help).arg(email());
    let remove_totp =
        arguments::command("remove-totp", "Remove the second factor of an account, whose sessions go on", &help)
            .arg(email());
    let delete = arguments::command("delete", "Delete an account and end all its tokens", &help).arg(email());
    group("user", "Create, print, change or delete accounts", &help).subcommands([
        create,
        show,
        list,
        set_password,
        verify,
        remove_totp,
        delete,
    ])
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    match matches.subcommand() {
        Some(("create", matches)) => report(matches, create(matches, sources)),
        Some(("show", matches)) => report(matches, show(matches, sources)),
        Some(("list", matches)) => list(matches, sources),
        Some(("set-password", matches)) => report(matches, set_password(matches, sources)),
        Some(("verify", matches)) => report(matches, verify(matches, sources)),
        Some(("remove-totp", matches)) => report(matches, remove_totp(matches, sources)),
        Some(("delete", matches)) => report(matches, delete(matches, sources)),
        _ => ExitCode::from(WRONG_USAGE),
    }
}

fn show(matches: &ArgMatches, sources: &Sources) -> Result<Shown, Failed> {
    on_account(matches, sources, async |store, email| {
        let found = store.find_user(email.tag()).await?;
        Ok(Shown::of(found.ok_or_else(|| Failed::user_not_found(email.as_str()))?.user))
    })
}
