//! Arguments and help texts that several commands share.

use std::collections::HashMap;

use auth_service_records::user::Email;
use clap::{Arg, ArgMatches, Command, ValueHint};

use super::output::Failed;
use crate::config::{SETTINGS, Setting};

/// A command that only holds subcommands.
pub(super) fn group(name: &'static str, about: &'static str, help: &str) -> Command {
    command(name, about, help).subcommand_required(true).arg_required_else_help(true)
}

/// A command with examples after its help.
pub(super) fn command(name: &'static str, about: &'static str, help: &str) -> Command {
    Command::new(name).about(about).after_help(help.to_owned())
}

/// The help of a command that works on the store: examples, when the command works, and how it fails.
pub(super) fn store_help(examples: &str, failures: &str) -> String {
    format!(
        "{examples}\n\nThe command accesses the store directly, without the server. On Redis, it works at any time. On \
         the embedded store,\nit works only while the server is stopped.\n{failures}"
    )
}

/// The argument EMAIL.
pub(super) fn email() -> Arg {
    positional("email", "EMAIL", "The email address of the account")
}

/// Reads the argument EMAIL.
pub(super) fn given_email(matches: &ArgMatches) -> Result<Email, Failed> {
    let email = matches.get_one::<String>("email").and_then(|text| Email::parse(text));
    email.ok_or_else(|| Failed::wrong_usage("EMAIL must be a valid email address, such as name@example.com"))
}

/// A required argument. Its value may begin with a hyphen, as one session id in 64 does.
pub(super) fn positional(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(name).required(true).allow_hyphen_values(true).help(help)
}

/// One flag for each setting, and one for the file of each secret.
pub(super) fn setting_flags() -> impl Iterator<Item = Arg> {
    SETTINGS.iter().flat_map(|setting| setting.names().map(move |name| flag(setting, &name)))
}

fn flag(setting: &Setting, name: &str) -> Arg {
    let (value_name, help) = if name == setting.name {
        ("VALUE", format!("{} [default: {}]", setting.help, setting.default))
    } else {
        ("PATH", format!("File that contains {}", setting.name))
    };
    Arg::new(name.to_owned())
        .long(name.to_ascii_lowercase().replace('_', "-"))
        .value_name(value_name)
        .value_hint(match name {
            "DATA_DIR" => ValueHint::DirPath,
            _ if name.ends_with("_FILE") => ValueHint::FilePath,
            _ => ValueHint::Unknown,
        })
        .global(true)
        .hide_short_help(true)
        .help_heading("Settings (the environment and .env can also set them; there, --data-dir is DATA_DIR)")
        .help(help)
}

/// The command line with the settings only before the command. Otherwise, the completions and the manual pages would
/// list all settings for each command.
pub(super) fn settings_at_root(root: Command) -> Command {
    root.mut_args(|arg| if arg.get_id() == "json" { arg } else { arg.global(false) })
}

/// The flags that were given, by the names of their settings.
pub(super) fn given_settings(matches: &ArgMatches) -> HashMap<String, String> {
    let names = SETTINGS.iter().flat_map(Setting::names);
    let given = names.filter_map(|name| {
        let value = matches.get_one::<String>(&name)?.clone();
        Some((name, value))
    });
    given.collect()
}
