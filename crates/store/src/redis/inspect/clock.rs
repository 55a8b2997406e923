//! Compares the clock of a server with the clock of this machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{RedisResult, aio::ConnectionLike};

use super::inspector::Inspector;
use crate::finding::Verdict;

/// Tokens live for a minute, so a difference of more than a second matters.
const MOST_SKEW: Duration = Duration::from_secs(1);

/// The difference between the clock of the server and the clock of this machine, as precise as the round trip allows.
pub(in crate::redis) async fn clock_skew(connection: &mut impl ConnectionLike) -> RedisResult<Duration> {
    let before = now();
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
    let ours = before + now().saturating_sub(before) / 2;
    Ok((Duration::from_secs(seconds) + Duration::from_micros(micros)).abs_diff(ours))
}

/// Describes a difference that is too large for tokens. `None` if the difference is small enough.
pub(in crate::redis) fn too_much(skew: Duration) -> Option<String> {
    (skew > MOST_SKEW).then(|| format!("{:.1} s from this machine's", skew.as_secs_f64()))
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Inspector<'_> {
    pub(super) async fn clock(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        match clock_skew(connection).await {
            Ok(skew) => match too_much(skew) {
                Some(seen) => {
                    self.add("clock", Verdict::Warning, seen, "run NTP on both machines: tokens expire by the clock")
                }
                None => self.add("clock", Verdict::Ok, format!("within {} ms of this machine's", skew.as_millis()), ""),
            },
            // `commands` reports this refusal.
            Err(error) if error.code() == Some("NOPERM") => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
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
