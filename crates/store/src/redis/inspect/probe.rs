//! The commands that an inspection tries.

use std::sync::LazyLock;

use redis::{Pipeline, Script, Value};

use super::inspector::Needs;

/// Life of the temporary keys, in case the probe is interrupted before it deletes them.
const SECONDS: &str = "5";
const MILLIS: &str = "5000";

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('EXISTS', KEYS[1])"));

/// Every command that the server sends or that its scripts call.
pub(super) struct Probe {
    pub(super) pipe: Pipeline,
    /// The name of each command, and its answer if that is predictable.
    pub(super) steps: Vec<(&'static str, Option<Value>)>,
}

impl Probe {
    pub(super) fn new(needs: &Needs<'_>) -> Self {
        let key = |part: &str| format!("{}{{{}}}:probe-{part}", needs.keys.prefix(), needs.tag);
        let mut probe = Self { pipe: redis::pipe(), steps: Vec::new() };
        probe.add_text_commands(&key("text"));
        probe.add_hash_commands(&key("hash"));
        probe.add_set_commands(&key("set"));
        probe.add_stream_commands(&key("stream"));
        probe.add("TIME", "", &[], None);
        if needs.wait.is_some() {
            probe.add("WAIT", "0", &["1"], None);
            // The pool sends this command before it reuses a connection.
            probe.add("PING", "", &[], None);
        }
        if needs.cluster {
            probe.add("ASKING", "", &[], None);
        }
        probe.pipe.load_script(&SCRIPT);
        probe.steps.push(("SCRIPT LOAD", None));
        probe.pipe.invoke_script(&SCRIPT.key(key("text")));
        probe.steps.push(("EVALSHA", int(0)));
        probe
    }

    /// Adds a command. An empty `first` argument is left out.
    fn add(&mut self, name: &'static str, first: &str, others: &[&str], answer: Option<Value>) {
        let command = self.pipe.cmd(name);
        if !first.is_empty() {
            command.arg(first);
        }
        command.arg(others);
        self.steps.push((name, answer));
    }

    fn add_text_commands(&mut self, key: &str) {
        self.add("SET", key, &["1", "EX", SECONDS], None);
        self.add("GET", key, &[], Some(one()));
        self.add("MGET", key, &[], Some(Value::Array(vec![one()])));
        self.add("EXISTS", key, &[], int(1));
        self.add("PTTL", key, &[], None);
        self.add("INCRBY", key, &["1"], int(2));
        self.add("DEL", key, &[], int(1));
    }

    fn add_hash_commands(&mut self, key: &str) {
        self.add("HSET", key, &["field", "1"], int(1));
        self.add("EXPIRE", key, &[SECONDS], int(1));
        self.add("PEXPIRE", key, &[MILLIS], int(1));
        self.add("HGET", key, &["field"], Some(one()));
        self.add("HMGET", key, &["field"], Some(Value::Array(vec![one()])));
        self.add("HINCRBY", key, &["field", "1"], int(2));
        // Also deletes the key, because the field is the last one.
        self.add("HDEL", key, &["field"], int(1));
    }

    fn add_stream_commands(&mut self, key: &str) {
        self.add("XADD", key, &["*", "id", "1"], None);
        self.add("EXPIRE", key, &[SECONDS], int(1));
        self.add("XTRIM", key, &["MINID", "0"], int(0));
        self.add("XRANGE", key, &["-", "+", "COUNT", "1"], None);
        self.add("XLEN", key, &[], int(1));
        self.add("XDEL", key, &["0-1"], int(0));
        self.add("DEL", key, &[], int(1));
    }

    fn add_set_commands(&mut self, key: &str) {
        self.add("ZADD", key, &["1", "member"], int(1));
        self.add("EXPIRE", key, &[SECONDS], int(1));
        self.add("ZCARD", key, &[], int(1));
        self.add("ZRANGE", key, &["0", "-1"], None);
        self.add("ZREVRANGE", key, &["0", "-1"], None);
        self.add("ZREVRANK", key, &["member"], int(0));
        // Also deletes the key, because the member is the last one.
        self.add("ZREM", key, &["member"], int(1));
    }
}

fn int(answer: i64) -> Option<Value> {
    Some(Value::Int(answer))
}

fn one() -> Value {
    Value::BulkString(b"1".to_vec())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use auth_service_token::Id;

    use super::*;
    use crate::redis::keys::Keys;

    #[test]
    fn every_command_of_the_scripts_is_tried() {
        let keys = Keys::new("as:");
        let probe = Probe::new(&Needs { keys: &keys, wait: None, cluster: false, tag: Id::digest(b"") });
        let tried: BTreeSet<&str> = probe.steps.iter().map(|(name, _)| *name).collect();
        for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis/scripts")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            for call in text.split("redis.call('").skip(1) {
                let name = call.split('\'').next().unwrap();
                assert!(tried.contains(name), "{name}");
            }
        }
    }
}
