//! `auth-service doctor`.

use std::process::ExitCode;

use clap::ArgMatches;
use serde::Serialize;

use super::{FAILED, Failed, Report, on_unchecked_backend, report};
use crate::{
    config::Sources,
    store::{Finding, Verdict},
};

#[derive(Serialize)]
struct Diagnosis {
    findings: Vec<Finding>,
}

impl Report for Diagnosis {
    /// A table: verdict, where, what was looked at, what was seen, and what to change in a line of its own.
    fn line(&self) -> String {
        let word = |verdict| match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Refusal => "REFUSAL",
        };
        let width = self.findings.iter().map(|finding| finding.place.len()).max().unwrap_or(0);
        let row = |finding: &Finding| {
            let Finding { place, check, verdict, seen, advice } = finding;
            let row = format!("{:8} {place:width$} {check:12} {seen}", word(*verdict));
            if advice.is_empty() { row } else { format!("{row}\n{:indent$}-> {advice}", "", indent = width + 23) }
        };
        self.findings.iter().map(row).collect::<Vec<_>>().join("\n")
    }

    fn exit(&self) -> u8 {
        if self.findings.iter().any(|finding| finding.verdict == Verdict::Refusal) { FAILED } else { 0 }
    }
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    // What a check would refuse is a finding here, beside the others.
    let looked = on_unchecked_backend(sources, async |backend| {
        let findings = backend.inspect().await.map_err(|reason| Failed::new("store_unreachable", reason))?;
        Ok(Diagnosis { findings })
    });
    report(matches, looked)
}
