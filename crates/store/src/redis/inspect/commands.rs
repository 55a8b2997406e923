//! Tries each command that the server uses, on temporary keys.

use redis::{RedisError, RedisResult, Value, aio::ConnectionLike};

use super::{
    inspector::{Inspector, Needs},
    probe::Probe,
};
use crate::finding::Verdict;

/// The faults of the commands, without duplicates.
#[derive(Default)]
struct Faults {
    /// Commands and keys that the user may not use, or that the server does not have.
    refused: Vec<String>,
    /// The codes of errors that may be temporary.
    failed: Vec<String>,
    /// Commands with an unexpected answer.
    strange: Vec<String>,
}

impl Faults {
    fn note(&mut self, needs: &Needs<'_>, name: &str, expected: Option<&Value>, answer: Result<Value, RedisError>) {
        match answer {
            Ok(answer) if expected.is_some_and(|expected| answer != *expected) => {
                add(&mut self.strange, name.to_owned())
            }
            Ok(_) => {}
            Err(error) => self.note_error(needs, name, &error),
        }
    }

    fn note_error(&mut self, needs: &Needs<'_>, name: &str, error: &RedisError) {
        let text = error.detail().unwrap_or_default();
        match error.code() {
            Some("NOPERM") if text.contains("to access") => {
                let prefix = needs.keys.prefix();
                let refusal = format!("the user may not use keys that begin with {prefix} (ACL: ~{prefix}*)");
                add(&mut self.refused, refusal);
            }
            Some("NOPERM") => {
                let rule = name.to_lowercase().replace(' ', "|");
                add(&mut self.refused, format!("the user may not run {name} (ACL: +{rule})"));
            }
            _ if text.contains("unknown command") => {
                add(&mut self.refused, format!("the server has no command {name}"));
            }
            // Reports the error code only, because every command fails with the same text.
            code => add(&mut self.failed, code.unwrap_or("an error").to_owned()),
        }
    }
}

fn add(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

impl Inspector<'_> {
    /// Runs each command that we use, and loads and calls a script.
    pub(super) async fn commands(
        &mut self,
        connection: &mut impl ConnectionLike,
        needs: &Needs<'_>,
    ) -> RedisResult<()> {
        let Probe { pipe, steps } = Probe::new(needs);
        let answers = connection.req_packed_commands(&pipe, 0, steps.len()).await?;
        let mut faults = Faults::default();
        for ((name, expected), answer) in steps.iter().zip(answers) {
            faults.note(needs, name, expected.as_ref(), answer.extract_error());
        }
        let Faults { refused, failed, strange } = faults;
        if !failed.is_empty() {
            let advice = "requests that write get 503 until the server accepts writes again";
            self.add("writes", Verdict::Warning, format!("refused now: {}", failed.join(", ")), advice);
        }
        if !refused.is_empty() {
            let advice = "give the user these permissions; docs/redis.md has the whole ACL";
            self.add("commands", Verdict::Refusal, refused.join("; "), advice);
        } else if failed.is_empty() && !strange.is_empty() {
            let seen = format!("{} did not return the value that was written", strange.join(", "));
            self.add("commands", Verdict::Refusal, seen, "name the server itself, not a proxy that reads elsewhere");
        } else if failed.is_empty() {
            self.add("commands", Verdict::Ok, format!("{} tried, all permitted", steps.len()), "");
        }
        Ok(())
    }
}
