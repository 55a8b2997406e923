//! `auth-service man`: the manual pages, from the definition of the command line.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, italic, roman},
};
use serde::Serialize;

use super::{
    arguments,
    output::{Failed, Report, failed_with, print_document, report},
};
use crate::config::{SETTINGS, Setting};

const HELP: &str = "\
Examples:
  auth-service man | man -l -
  auth-service man --output /usr/local/share/man/man1";

const EXIT_CODES: [(&str, &str); 3] = [
    ("0", "The command has done its work, or the server has stopped after a signal."),
    ("1", "The command or the server failed: for example, nothing was found, or the store is unavailable."),
    ("2", "Wrong usage or wrong settings. The server names every wrong setting."),
];

const FILES: [(&str, &str); 2] = [
    (
        ".env",
        "Settings, one NAME=value a line, in the working directory. The environment has priority over this file, and a \
         flag over both.",
    ),
    (
        "./data",
        "The embedded store and its secrets. DATA_DIR names another directory. With REDIS_URL, the server does not use \
         it.",
    ),
];

pub(super) fn command() -> Command {
    let output = Arg::new("output")
        .long("output")
        .value_name("DIR")
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath)
        .help("Write the pages of the server and of each command to this directory");
    arguments::command("man", "Print the manual page of the server", HELP).arg(output)
}

/// `root` is the whole command line.
pub(super) fn run(matches: &ArgMatches, root: Command) -> ExitCode {
    let root = arguments::settings_at_root(root)
        .mut_args(|arg| if is_setting(&arg) { arg.hide(true) } else { arg })
        .override_usage("auth-service [SETTINGS]\nauth-service [SETTINGS] <COMMAND>")
        .disable_help_subcommand(true);
    let mut root = with_commands_named(root);
    root.build();
    match matches.get_one::<PathBuf>("output") {
        Some(directory) => {
            let written = write_all(&root, directory);
            report(
                matches,
                written.map_err(|error| Failed::new("output_failed", format!("{}: {error}", directory.display()))),
            )
        }
        None => match page(&root) {
            Ok(page) => print_document(&page),
            Err(error) => failed_with(&Failed::unwritable(&error)),
        },
    }
}

/// The texts of a page for the subcommands of a command.
fn with_commands_named(command: Command) -> Command {
    let command = command.subcommand_help_heading("COMMANDS").subcommand_value_name("COMMAND");
    command.mut_subcommands(with_commands_named)
}

fn is_setting(arg: &Arg) -> bool {
    SETTINGS.iter().flat_map(Setting::names).any(|name| arg.get_id() == name.as_str())
}

#[derive(Serialize)]
struct Written {
    result: &'static str,
    pages: usize,
}

impl Report for Written {
    fn text(&self) -> String {
        format!("{} manual pages are written", self.pages)
    }
}

fn write_all(root: &Command, directory: &Path) -> io::Result<Written> {
    fs::create_dir_all(directory)?;
    let mut commands = vec![root];
    let mut pages = 0;
    while let Some(command) = commands.pop() {
        fs::write(directory.join(Man::new(command.clone()).get_filename()), page(command)?)?;
        pages += 1;
        commands.extend(command.get_subcommands());
    }
    Ok(Written { result: "man_pages_written", pages })
}

/// The page of a command. The page of the server also has the settings and the files.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let is_server = command.get_display_name().is_none_or(|name| name == "auth-service");
    // Without a date, groff prints the source as the date.
    let man = Man::new(command.clone()).date(" ").source(concat!("auth-service ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    if is_server {
        settings(&mut roff);
    }
    after_help(&mut roff, command);
    section(&mut roff, "EXIT STATUS", &EXIT_CODES);
    if is_server {
        section(&mut roff, "FILES", &FILES);
    } else {
        roff.control("SH", ["SEE ALSO"]).text([bold("auth-service"), roman("(1) describes the settings.")]);
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn settings(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]).text([roman(
        "Each setting is a variable of the environment, a line of .env, and a flag. Every command takes the flags.",
    )]);
    for setting in SETTINGS {
        let flag = |name: &str| format!("--{}", name.to_ascii_lowercase().replace('_', "-"));
        let mut heading = vec![bold(setting.name), roman(", "), bold(flag(setting.name)), roman(" "), italic("VALUE")];
        for file in setting.names().skip(1) {
            heading.extend([
                roman(", "),
                bold(file.clone()),
                roman(", "),
                bold(flag(&file)),
                roman(" "),
                italic("PATH"),
            ]);
        }
        entry(roff, heading, &format!("{}. Default: {}.", setting.help, setting.default));
    }
    entry(roff, vec![bold("RUST_LOG")], "Level of the log: error, warn, info, debug or trace. Default: info.");
}

/// The help of a command has examples, then paragraphs.
fn after_help(roff: &mut Roff, command: &Command) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, notes) = help.split_once("\n\n").unwrap_or((&help, ""));
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in examples.lines().skip(1) {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    // The section EXIT STATUS says more.
    let mut notes = notes.split("\n\n").filter(|note| !note.is_empty() && !note.starts_with("Exit codes:")).peekable();
    if notes.peek().is_some() {
        roff.control("SH", ["NOTES"]);
    }
    for note in notes {
        roff.control("PP", []).text([roman(note.replace('\n', " "))]);
    }
}

fn section(roff: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (name, text) in entries {
        entry(roff, vec![bold(*name)], text);
    }
}

fn entry(roff: &mut Roff, heading: Vec<Inline>, text: &str) {
    roff.control("TP", []).text(heading).text([roman(text)]);
}
