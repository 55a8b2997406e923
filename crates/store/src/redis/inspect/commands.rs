//! Tries each command that the server uses, on temporary keys.

use std::sync::LazyLock;

use redis::{Pipeline, RedisResult, Script, Value, aio::ConnectionLike};

use super::look::{Look, Needs};
use crate::finding::Verdict;

/// The life of the probe's keys, in case the probe is interrupted before it deletes them.
const PROBE_SECONDS: u64 = 5;

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('EXISTS', KEYS[1])"));

impl Look<'_> {
    /// Runs each command that we use, and loads and calls a script.
    pub(super) async fn commands(
        &mut self,
        connection: &mut impl ConnectionLike,
        needs: &Needs<'_>,
    ) -> RedisResult<()> {
        let probe = probe(needs);
        let answers = connection.req_packed_commands(&probe.pipe, 0, probe.steps.len()).await?;
        let [mut refused, mut failed, mut strange]: [Vec<String>; 3] = Default::default();
        let add = |list: &mut Vec<String>, text: String| {
            if !list.contains(&text) {
                list.push(text);
            }
        };
        for ((name, expected), answer) in probe.steps.iter().zip(answers) {
            let error = match (answer.extract_error(), expected) {
                (Ok(answer), Some(expected)) if answer != *expected => {
                    add(&mut strange, (*name).to_owned());
                    continue;
                }
                (Ok(_), _) => continue,
                (Err(error), _) => error,
            };
            let text = error.detail().unwrap_or_default();
            match error.code() {
                Some("NOPERM") if text.contains("to access") => {
                    add(
                        &mut refused,
                        format!("the user may not use keys that begin with {0} (ACL: ~{0}*)", needs.keys.prefix()),
                    );
                }
                Some("NOPERM") => {
                    let rule = name.to_lowercase().replace(' ', "|");
                    add(&mut refused, format!("the user may not run {name} (ACL: +{rule})"));
                }
                _ if text.contains("unknown command") => add(&mut refused, format!("the server has no command {name}")),
                // Reports the error code only, because every command fails with the same text.
                code => add(&mut failed, code.unwrap_or("an error").to_owned()),
            }
        }
        if !failed.is_empty() {
            let advice = "requests that write are 503 until the server takes writes again";
            self.add("writes", Verdict::Warning, format!("refused now: {}", failed.join(", ")), advice);
        }
        if !refused.is_empty() {
            let advice = "give the user these permissions; docs/operations.md has the whole ACL";
            self.add("commands", Verdict::Refusal, refused.join("; "), advice);
        } else if failed.is_empty() && !strange.is_empty() {
            let seen = format!("{} did not answer what had been written", strange.join(", "));
            self.add("commands", Verdict::Refusal, seen, "name the server itself, no proxy that reads elsewhere");
        } else if failed.is_empty() {
            self.add("commands", Verdict::Ok, format!("{} tried, each may be run", probe.steps.len()), "");
        }
        Ok(())
    }
}

/// Commands to try, with the name of each and, where the answer is predictable, the expected answer.
struct Probe {
    pipe: Pipeline,
    steps: Vec<(&'static str, Option<Value>)>,
}

/// Every command that the server sends or that its scripts call, on keys that the probe deletes at the end.
fn probe(needs: &Needs<'_>) -> Probe {
    let key = |part: &str| format!("{}{{{}}}:probe-{part}", needs.keys.prefix(), needs.tag);
    let (text, hash, set) = (key("text"), key("hash"), key("set"));
    let mut probe = Probe { pipe: redis::pipe(), steps: Vec::new() };
    let mut run = |name: &'static str, key: &str, arguments: &[&str], answer: Option<Value>| {
        probe.pipe.cmd(name).arg(key).arg(arguments);
        probe.steps.push((name, answer));
    };
    let seconds = PROBE_SECONDS.to_string();
    let int = |n| Some(Value::Int(n));
    let one = || Value::BulkString(b"1".to_vec());
    run("SET", &text, &["1", "EX", &seconds], None);
    run("GET", &text, &[], Some(one()));
    run("MGET", &text, &[], Some(Value::Array(vec![one()])));
    run("EXISTS", &text, &[], int(1));
    run("PTTL", &text, &[], None);
    run("INCRBY", &text, &["1"], int(2));
    run("HSET", &hash, &["field", "1"], int(1));
    run("EXPIRE", &hash, &[&seconds], int(1));
    run("PEXPIRE", &hash, &["5000"], int(1));
    run("HGET", &hash, &["field"], Some(one()));
    run("HMGET", &hash, &["field"], Some(Value::Array(vec![one()])));
    run("HINCRBY", &hash, &["field", "1"], int(2));
    run("HDEL", &hash, &["field"], int(1));
    run("ZADD", &set, &["1", "member"], int(1));
    run("EXPIRE", &set, &[&seconds], int(1));
    run("ZCARD", &set, &[], int(1));
    run("ZRANGE", &set, &["0", "-1"], None);
    run("ZREVRANGE", &set, &["0", "-1"], None);
    run("ZREVRANK", &set, &["member"], int(0));
    run("ZSCORE", &set, &["member"], None);
    run("ZREM", &set, &["member"], int(1));
    run("DEL", &text, &[&hash, &set], int(1));
    let Probe { pipe, steps } = &mut probe;
    pipe.cmd("TIME");
    steps.push(("TIME", None));
    if needs.wait.is_some() {
        pipe.cmd("WAIT").arg(0).arg(1);
        // The pool sends these commands before it reuses a connection.
        pipe.cmd("UNWATCH").cmd("PING");
        steps.extend([("WAIT", None), ("UNWATCH", None), ("PING", None)]);
    }
    if needs.cluster {
        pipe.cmd("ASKING");
        steps.push(("ASKING", None));
    }
    pipe.load_script(&SCRIPT);
    steps.push(("SCRIPT LOAD", None));
    pipe.invoke_script(&SCRIPT.key(&text));
    steps.push(("EVALSHA", int(0)));
    probe
}
