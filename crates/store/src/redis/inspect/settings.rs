//! Checks whether the settings and the state of a server put the data at risk.

use std::collections::HashMap;

use redis::{RedisResult, Value, aio::ConnectionLike};

use super::inspector::{Inspector, Needs};
use crate::{finding::Verdict, settings::Wait};

impl Inspector<'_> {
    /// Checks the settings and values that only INFO and CONFIG GET show. Both permissions are optional: without them,
    /// the finding is a warning.
    pub(super) async fn settings(
        &mut self,
        connection: &mut impl ConnectionLike,
        needs: &Needs<'_>,
    ) -> RedisResult<()> {
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
            let seen = format!("the user may not run {}", missing.join(" and "));
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
            let advice = "set it to no: otherwise all users, not only its own, wait while a primary is replaced";
            self.add("coverage", Verdict::Warning, "cluster-require-full-coverage yes", advice);
        }
        Ok(())
    }

    fn eviction(&mut self, policy: &str) {
        let (verdict, advice) = match policy {
            "noeviction" => (Verdict::Ok, ""),
            _ if policy.starts_with("allkeys-") => (
                Verdict::Refusal,
                "CONFIG SET maxmemory-policy noeviction: otherwise Redis drops accounts when memory is full",
            ),
            _ => (Verdict::Warning, "noeviction is better: otherwise Redis signs users out when memory is full"),
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
                "set appendonly yes: otherwise a restart loses all writes after the last snapshot",
            ),
            (false, false) => (Verdict::Warning, "off", "set appendonly yes: otherwise a restart loses all accounts"),
        };
        self.add("persistence", verdict, seen, advice);
    }

    fn replicas(&mut self, connected: u64, min_replicas: Option<&str>, wait: Option<Wait>) {
        let seen = format!("{connected} connected, min-replicas-to-write {}", min_replicas.unwrap_or("not known"));
        match wait {
            Some(wait) if u64::from(wait.replicas) > connected => {
                let advice = "sign-ups and removals get 503 not_replicated: add replicas or lower REDIS_WAIT_REPLICAS";
                self.add("replicas", Verdict::Warning, seen, advice);
            }
            Some(wait) if min_replicas.is_some_and(|n| n.parse().is_ok_and(|n: u32| n < wait.replicas)) => {
                let advice =
                    "raise min-replicas-to-write to REDIS_WAIT_REPLICAS, so that an isolated primary refuses writes";
                self.add("replicas", Verdict::Warning, seen, advice);
            }
            _ => self.add("replicas", Verdict::Ok, seen, ""),
        }
    }
}

/// The value in the answer to CONFIG GET for one setting.
fn setting(answer: Value) -> Option<String> {
    redis::from_redis_value::<HashMap<String, String>>(answer).ok()?.into_values().next()
}
