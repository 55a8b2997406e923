//! Runs every example in every Markdown page of the project as printed, and checks every link.
//!
//! A page is one session of bash in a fresh directory and a network of its own, so port 3000 and port 6379 are free, as
//! on the machine of a reader. Blocks of `sh` and `console` run in their order. A block of `json` or `text` right after
//! a block of `sh` is its output. An HTML comment right before a block tells the test what the reader does not see:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- before: COMMANDS -->` | run these commands first |
//! | `<!-- after: COMMANDS -->` | run these commands afterwards |
//! | `<!-- background -->` | the block starts a server, which goes on while the next blocks run |
//! | `<!-- output of: COMMANDS -->` | the block is what these commands print |
//! | `<!-- check: COMMANDS -->` | these commands succeed; the block is in the file `$BLOCK` |
//! | `<!-- tested by: FILE -->` | every line of the block is in this file, which other tests run |
//! | `<!-- tested by: FILE::TEST -->` | this test, which names the page, reads the block from the page |
//! | `<!-- not run: REASON -->` | the block cannot run here |
//!
//! The commands may use the functions of `prelude.sh`. Tools such as trycmd and mdoctest compare blocks of `console`
//! too, but start no servers and know no JSON.

#![expect(clippy::unwrap_used, reason = "a test panics at the step that fails")]

mod claims;
mod links;
mod namespace;
mod output;
mod page;
mod plan;
mod session;

use std::{collections::BTreeMap, env, process::Command, thread};

use page::Page;
use plan::Fate;

/// The pages that git tracks or would add. With `TEST_PAGE`, only the pages whose names contain its value.
fn pages() -> Vec<Page> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "*.md"];
    let output = Command::new("git").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let wanted = env::var("TEST_PAGE").unwrap_or_default();
    let names = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<_> = names.lines().filter(|name| name.contains(&wanted)).map(Page::read).collect();
    assert!(!pages.is_empty(), "there is no page with {wanted:?} in its name");
    pages
}

#[test]
fn every_example_runs_as_printed() {
    let pages = pages();
    let sessions: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(|| session::run(page))).collect();
        running.into_iter().map(|page| page.join().unwrap()).collect()
    });
    let mut counts = BTreeMap::<&str, usize>::new();
    for fate in sessions.iter().flat_map(|session| &session.fates) {
        *counts.entry(fate.name()).or_default() += 1;
        if let Fate::NotRun { place, reason } = fate {
            println!("not run: {place}: {reason}");
        }
    }
    println!("examples: {}", counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", "));
    let failures: Vec<_> = sessions.iter().flat_map(|session| &session.failures).map(String::as_str).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<_> = pages().iter().flat_map(links::broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
