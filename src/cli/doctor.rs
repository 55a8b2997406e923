//! `auth-service doctor`: inspects the store, and the SMTP server.

use std::{process::ExitCode, time::Duration};

use auth_service_mail::{Sender, SmtpServer};
use auth_service_store::{Finding, Verdict};
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::{
    arguments,
    output::{FAILED, Failed, Report, report},
    store::on_backend,
};
use crate::config::{Config, Sources};

const HELP: &str = "\
Examples:
  auth-service doctor
  REDIS_URL=redis+sentinel://10.0.0.1,10.0.0.2/accounts auth-service doctor --json

Checks the clock, permissions, eviction, persistence, memory and replicas of the store that the settings name. If the
settings have the signing secrets, the command compares them with those of the replicas. On Redis, the command writes
temporary keys and deletes them. It changes nothing else. On the embedded store, it works only while the server is
stopped. If the settings have an SMTP server, the command connects to it and logs in, but sends no mail. It exits with 1
if the server would not start on this store, or if the store cannot be reached.";

/// How long the SMTP server may take.
const MAIL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn command() -> Command {
    arguments::command("doctor", "Check the store, and say what to change", HELP)
}

pub(super) fn run(matches: &ArgMatches, sources: &Sources) -> ExitCode {
    report(matches, inspect(sources))
}

#[derive(Serialize)]
struct Diagnosis {
    findings: Vec<Finding>,
}

impl Report for Diagnosis {
    /// A table of verdict, place, check and observation. Advice has a line of its own.
    fn text(&self) -> String {
        let width = self.findings.iter().map(|finding| finding.place.len()).max().unwrap_or(0);
        self.findings.iter().map(|finding| row(finding, width)).collect::<Vec<_>>().join("\n")
    }

    fn exit(&self) -> u8 {
        if self.findings.iter().any(|finding| finding.verdict == Verdict::Refusal) { FAILED } else { 0 }
    }
}

/// The row of a finding. `width` is the length of the longest place.
fn row(finding: &Finding, width: usize) -> String {
    let Finding { place, check, verdict, seen, advice } = finding;
    let verdict = match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Refusal => "REFUSAL",
    };
    let row = format!("{verdict:8} {place:width$} {check:12} {seen}");
    if advice.is_empty() { row } else { format!("{row}\n{:indent$}-> {advice}", "", indent = width + 23) }
}

/// Inspects even a store that the server would refuse, so that the output shows the refusal beside the other findings.
fn inspect(sources: &Sources) -> Result<Diagnosis, Failed> {
    let secrets = Config::load_secrets(sources).map_err(|problems| Failed::wrong_settings(&problems))?;
    let smtp = Config::load_smtp(sources).map_err(|problems| Failed::wrong_settings(&problems))?;
    on_backend(sources, async |backend| {
        let mut findings = backend.inspect().await.map_err(|reason| Failed::new("store_unreachable", reason))?;
        if let Some(secrets) = &secrets {
            findings.extend(backend.compare_secrets(&secrets.tokens().check_values()).await);
        }
        let sealing_keys = secrets.map(|secrets| secrets.sealing_keys()).unwrap_or_default();
        findings.extend(backend.inspect_keys(&sealing_keys).await);
        if let Some((server, sender)) = &smtp {
            findings.push(of_mail(server, sender).await);
        }
        Ok(Diagnosis { findings })
    })
}

/// Whether the SMTP server would take mails. A server that does not only causes a warning, because it may come back.
async fn of_mail(server: &SmtpServer, sender: &Sender) -> Finding {
    let (verdict, seen, advice) = match auth_service_mail::probe(server, sender, MAIL_TIMEOUT).await {
        Ok(()) => (Verdict::Ok, "the SMTP server takes mails".to_owned(), String::new()),
        Err(reason) => {
            (Verdict::Warning, reason, "correct SMTP_URL or the SMTP server; until then, no mail is sent".to_owned())
        }
    };
    Finding { place: server.to_string(), check: "mail", verdict, seen, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_the_text_that_it_belongs_to() {
        let finding = Finding {
            place: "127.0.0.1:6379".to_owned(),
            check: "eviction",
            verdict: Verdict::Warning,
            seen: "maxmemory-policy is volatile-lru".to_owned(),
            advice: "set it to noeviction".to_owned(),
        };
        let text = row(&finding, finding.place.len());
        let columns: Vec<_> = text.lines().zip(["maxmemory", "->"]).map(|(line, word)| line.find(word)).collect();
        assert_eq!(columns, [Some(37), Some(37)], "{text}");
    }
}
