//! Compares the clock of a server with the clock of this machine.

use std::time::Duration;

use auth_service_records::clock::{Skew, machine_time};
use redis::{RedisResult, aio::ConnectionLike};

use super::inspector::Inspector;
use crate::finding::{Finding, Verdict};

/// The difference between the clock of the server and the clock of this machine, as precise as the round trip allows.
async fn skew(connection: &mut impl ConnectionLike) -> RedisResult<Skew> {
    let before = machine_time();
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(connection).await?;
    let ours = before + machine_time().saturating_sub(before) / 2;
    Ok(Skew::between(Duration::from_secs(seconds) + Duration::from_micros(micros), ours))
}

impl Inspector<'_> {
    pub(super) async fn clock(&mut self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        match skew(connection).await {
            Ok(skew) if skew.matters() => {
                let advice = "run NTP on both machines: tokens follow the clock of Redis, so they stay valid, but the \
                              times in the log differ";
                self.add(Finding::CLOCK, Verdict::Warning, skew.to_string(), advice);
            }
            Ok(skew) => self.add(Finding::CLOCK, Verdict::Ok, skew.to_string(), ""),
            // `commands` reports this refusal.
            Err(error) if error.code() == Some("NOPERM") => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
