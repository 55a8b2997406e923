//! `auth-service user list`: all accounts, printed as they are read.

use std::process::ExitCode;

use clap::ArgMatches;

use super::shown::Shown;
use crate::{
    cli::{
        output::{Failed, Lines},
        store::on_reachable,
    },
    config::Sources,
};

pub(super) fn list(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    let mut lines = Lines::new(matches);
    let listed = print_all(&mut lines, sources);
    lines.finish(listed.map(|()| 0))
}

fn print_all(lines: &mut Lines, sources: &Sources) -> Result<(), Failed> {
    on_reachable(sources, async |backend| {
        let mut users = backend.users().await?;
        loop {
            let page = users.next_page().await?;
            if page.is_empty() {
                return Ok(());
            }
            for stored in page {
                if !lines.print(&Shown::of(stored.user))? {
                    return Ok(());
                }
            }
        }
    })
}
