//! `auth-service completions`: the completions of the command line, as a script for a shell.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::{Shell, generate};

use super::{
    arguments,
    output::{WRONG_USAGE, print_document},
};

const HELP: &str = "\
Examples:
  auth-service completions bash > ~/.local/share/bash-completion/completions/auth-service
  auth-service completions zsh > ~/.zfunc/_auth-service       (with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc)
  auth-service completions fish > ~/.config/fish/completions/auth-service.fish

The shell completes commands and their flags. It completes settings, such as --redis-url, before the command.";

pub(super) fn command() -> Command {
    let shell =
        Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell)).help("The shell");
    arguments::command("completions", "Print the completions for a shell", HELP).arg(shell)
}

/// `root` is the whole command line.
pub(super) fn run(matches: &ArgMatches, root: Command) -> ExitCode {
    let Some(shell) = matches.get_one::<Shell>("shell") else { return ExitCode::from(WRONG_USAGE) };
    let mut script = Vec::new();
    generate(*shell, &mut arguments::settings_at_root(root), "auth-service", &mut script);
    // Without the replacement, bash completes nothing after a command: the script has two spellings of each command,
    // because the name of the program has a hyphen (https://github.com/clap-rs/clap/issues/6421).
    let script = String::from_utf8_lossy(&script).replace("auth__subcmd__service", "auth__service");
    print_document(script.as_bytes())
}
