//! A careful look at one Redis server: whether it can keep what it acknowledges, and whether we may do what we must.
//! Features are tried, never inferred from a version.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use redis::{Pipeline, RedisResult, Value, aio::ConnectionLike};

use super::{connection::Hello, scripts::Scripts};
use crate::{
    config::Wait,
    id::Id,
    store::{Finding, Verdict},
};

/// Tokens live for a minute: a second more or less is much.
const MOST_SKEW: Duration = Duration::from_secs(1);
/// Life of what a probe writes, if it is interrupted before it deletes that.
const PROBE_SECONDS: u64 = 5;

/// What the user must be allowed, beside the commands that each connection begins with.
pub(super) struct Needs<'a> {
    pub(super) scripts: &'a Scripts,
    pub(super) wait: Option<Wait>,
    pub(super) cluster: bool,
    /// A hash tag whose keys this server has.
    pub(super) tag: Id,
}

/// Looks at everything. An error is the connection's.
pub(super) async fn inspect(
    connection: &mut (impl ConnectionLike + Send),
    place: &str,
    hello: Hello,
    needs: Needs<'_>,
) -> RedisResult<Vec<Finding>> {
    let mut look = Look { place, findings: Vec::new() };
    let seen = format!("{} {}, {}", hello.server, hello.version, hello.mode);
    look.add("server", Verdict::Ok, seen, "");
    match hello.role.as_str() {
        "master" => look.add("role", Verdict::Ok, hello.role, ""),
        // Of Sentinels or a cluster, which will soon agree on another one.
        _ => look.add("role", Verdict::Warning, hello.role, "it was the primary a moment ago: look again"),
    }
    look.clock(connection).await?;
    look.commands(connection, &needs).await?;
    look.settings(connection, &needs).await?;
    Ok(look.findings)
}

/// How far the server's clock is ahead of ours, or behind it, as well as the round trip lets one tell.
pub(super) async fn clock_skew(connection: &mut impl ConnectionLike) -> RedisResult<Duration> {
    let before = now();
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
    let ours = before + now().saturating_sub(before) / 2;
    Ok((Duration::from_secs(seconds) + Duration::from_micros(micros)).abs_diff(ours))
}

/// `None` while it is within what tokens bear.
pub(super) fn too_much(skew: Duration) -> Option<String> {
    (skew > MOST_SKEW).then(|| format!("{:.1} s from this machine's", skew.as_secs_f64()))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

struct Look<'a> {
    place: &'a str,
    findings: Vec<Finding>,
}

impl Look<'_> {
    fn add(&mut self, check: &'static str, verdict: Verdict, seen: impl Into<String>, advice: &str) {
        self.findings.push(Finding::new(self.place, check, verdict, seen, advice));
    }

    async fn clock(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        match clock_skew(connection).await {
            Ok(skew) => match too_much(skew) {
                Some(seen) => {
                    self.add("clock", Verdict::Warning, seen, "run NTP on both machines: tokens live by the clock")
                }
                None => self.add("clock", Verdict::Ok, format!("within {} ms of this machine's", skew.as_millis()), ""),
            },
            // Told with the other commands.
            Err(error) if error.code() == Some("NOPERM") => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Runs each command that we use, and loads each script.
    async fn commands(&mut self, connection: &mut impl ConnectionLike, needs: &Needs<'_>) -> RedisResult<()> {
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
                    add(&mut refused, "the user may not use keys that begin with as: (ACL: ~as:*)".to_owned());
                }
                Some("NOPERM") => {
                    let rule = name.to_lowercase().replace(' ', "|");
                    add(&mut refused, format!("the user may not run {name} (ACL: +{rule})"));
                }
                _ if text.contains("unknown command") => add(&mut refused, format!("the server has no command {name}")),
                // By name and kind, as the text repeats itself with each command.
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

    /// What only INFO and CONFIG GET tell, which the user need not be allowed.
    async fn settings(&mut self, connection: &mut impl ConnectionLike, needs: &Needs<'_>) -> RedisResult<()> {
        let mut pipe = redis::pipe();
        pipe.cmd("INFO");
        for name in ["save", "min-replicas-to-write", "cluster-require-full-coverage"] {
            pipe.cmd("CONFIG").arg("GET").arg(name);
        }
        let answers = connection.req_packed_commands(&pipe, 0, 4).await?;
        let mut answers = answers.into_iter().map(Value::extract_error);
        let info = answers.next().and_then(|answer| redis::from_redis_value::<String>(answer.ok()?).ok());
        let config: Vec<Option<String>> = answers.map(|answer| setting(answer.ok()?)).collect();
        let [save, min_replicas, full_coverage] = [0, 1, 2].map(|n| config.get(n).cloned().flatten());
        let missing: Vec<_> =
            [(info.is_none(), "INFO"), (save.is_none(), "CONFIG GET")].iter().filter(|m| m.0).map(|m| m.1).collect();
        if !missing.is_empty() {
            let seen = format!("the user may not ask {}", missing.join(" and "));
            self.add("permissions", Verdict::Warning, seen, "eviction, persistence, memory or replicas are not known");
        }
        if let Some(info) = info {
            let info: HashMap<_, _> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
            let number = |name: &str| info.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            self.eviction(info.get("maxmemory_policy").copied().unwrap_or_default());
            self.memory(number("used_memory"), number("maxmemory"));
            if let Some(save) = &save {
                self.persistence(number("aof_enabled") == 1, !save.is_empty());
            }
            self.replicas(number("connected_slaves"), min_replicas.as_deref(), needs.wait);
        }
        if needs.cluster && full_coverage.as_deref() == Some("yes") {
            let advice = "set it to no: else all users wait while one primary is replaced, not only its own";
            self.add("coverage", Verdict::Warning, "cluster-require-full-coverage yes", advice);
        }
        Ok(())
    }

    fn eviction(&mut self, policy: &str) {
        let (verdict, advice) = match policy {
            "noeviction" => (Verdict::Ok, ""),
            _ if policy.starts_with("allkeys-") => (
                Verdict::Refusal,
                "CONFIG SET maxmemory-policy noeviction: else accounts are dropped when memory is full",
            ),
            _ => (Verdict::Warning, "noeviction is better: else users are signed out when memory is full"),
        };
        self.add("eviction", verdict, policy, advice);
    }

    fn memory(&mut self, used: u64, limit: u64) {
        let mib = |bytes: u64| bytes / (1 << 20);
        match limit {
            0 => self.add("memory", Verdict::Ok, format!("{} MiB used, no maxmemory", mib(used)), ""),
            _ => {
                let seen = format!("{} of {} MiB used", mib(used), mib(limit));
                let full = used > limit / 10 * 9;
                let advice = if full { "raise maxmemory: sign-ups and sign-ins fail when it is full" } else { "" };
                self.add("memory", if full { Verdict::Warning } else { Verdict::Ok }, seen, advice);
            }
        }
    }

    fn persistence(&mut self, append_only: bool, snapshots: bool) {
        let (verdict, seen, advice) = match (append_only, snapshots) {
            (true, _) => (Verdict::Ok, "append-only file", ""),
            (false, true) => (
                Verdict::Warning,
                "snapshots only",
                "appendonly yes: else a restart loses what came after the last snapshot",
            ),
            (false, false) => (Verdict::Warning, "off", "appendonly yes: else a restart loses all accounts"),
        };
        self.add("persistence", verdict, seen, advice);
    }

    fn replicas(&mut self, connected: u64, min_replicas: Option<&str>, wait: Option<Wait>) {
        let seen = format!("{connected} connected, min-replicas-to-write {}", min_replicas.unwrap_or("not known"));
        match wait {
            Some(wait) if u64::from(wait.replicas) > connected => {
                let advice = "sign-ups and removals are 503 not_replicated: add replicas or lower REDIS_WAIT_REPLICAS";
                self.add("replicas", Verdict::Warning, seen, advice);
            }
            Some(wait) if min_replicas.is_some_and(|n| n.parse().is_ok_and(|n: u32| n < wait.replicas)) => {
                let advice =
                    "set min-replicas-to-write as high as REDIS_WAIT_REPLICAS: a primary that is cut off then refuses";
                self.add("replicas", Verdict::Warning, seen, advice);
            }
            _ => self.add("replicas", Verdict::Ok, seen, ""),
        }
    }
}

/// The value in the answer to CONFIG GET of one setting.
fn setting(answer: Value) -> Option<String> {
    redis::from_redis_value::<HashMap<String, String>>(answer).ok()?.into_values().next()
}

/// Commands to try, with the name of each and, where it tells something, the right answer.
struct Probe {
    pipe: Pipeline,
    steps: Vec<(&'static str, Option<Value>)>,
}

/// Every command that we send or that our scripts call, each on keys that are deleted at the end.
fn probe(needs: &Needs<'_>) -> Probe {
    let key = |part: &str| format!("as:{{{}}}:probe-{part}", needs.tag);
    let (text, hash) = (key("text"), key("hash"));
    let mut probe = Probe { pipe: redis::pipe(), steps: Vec::new() };
    let mut run = |name: &'static str, key: &str, arguments: &[&str], answer: Option<Value>| {
        probe.pipe.cmd(name).arg(key).arg(arguments);
        probe.steps.push((name, answer));
    };
    let seconds = PROBE_SECONDS.to_string();
    let int = |n| Some(Value::Int(n));
    let one = || Value::BulkString(b"1".to_vec());
    run("SET", &text, &["1", "EX", &seconds], None);
    run("SETRANGE", &text, &["0", "1"], int(1));
    run("GET", &text, &[], Some(one()));
    run("MGET", &text, &[], Some(Value::Array(vec![one()])));
    run("EXISTS", &text, &[], int(1));
    run("TTL", &text, &[], None);
    run("PTTL", &text, &[], None);
    run("INCRBY", &text, &["1"], int(2));
    run("HSET", &hash, &["field", "1"], int(1));
    run("EXPIRE", &hash, &[&seconds], int(1));
    run("HGET", &hash, &["field"], Some(one()));
    run("HINCRBY", &hash, &["field", "1"], int(2));
    run("HDEL", &hash, &["field"], int(1));
    run("DEL", &text, &[&hash], int(1));
    let Probe { pipe, steps } = &mut probe;
    pipe.cmd("TIME");
    steps.push(("TIME", None));
    if needs.wait.is_some() {
        pipe.cmd("WAIT").arg(0).arg(1);
        // The pool sends these before it gives out a connection again.
        pipe.cmd("UNWATCH").cmd("PING");
        steps.extend([("WAIT", None), ("UNWATCH", None), ("PING", None)]);
    }
    if needs.cluster {
        pipe.cmd("ASKING");
        steps.push(("ASKING", None));
    }
    for script in needs.scripts.all() {
        pipe.load_script(script);
        steps.push(("SCRIPT LOAD", None));
    }
    // Reads a counter that is not there.
    pipe.invoke_script(needs.scripts.count.key(&text).arg(1).arg(1).arg(0));
    steps.push(("EVALSHA", int(0)));
    probe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_more_than_a_second_away_is_too_much() {
        assert_eq!(too_much(Duration::from_millis(1_000)), None);
        assert_eq!(too_much(Duration::from_millis(1_250)).as_deref(), Some("1.2 s from this machine's"));
    }
}
