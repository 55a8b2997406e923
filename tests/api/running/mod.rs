//! Running a server: settings, commands, the embedded store, shutdown, documentation.

mod accounts_command;
mod backup;
mod clocks;
mod command_line;
mod completions;
mod documentation;
mod embedded_store;
mod import_command;
mod man;
mod pictures;
mod printed;
mod progress;
mod sessions_command;
mod settings;
mod shutdown;
mod signals;
mod start_warnings;
mod transfer;
mod usage;
