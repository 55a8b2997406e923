//! The time at which the store continues after a restart.
//!
//! The clock of the process ignores steps of this machine's clock. A restart ignores them too: on the same boot of the
//! machine, the store continues at its last time plus the time that has passed since. After a boot, only the machine's
//! clock knows how much time has passed, and the store never goes back behind its last time. If nobody is signed in,
//! there is nothing to protect, and the store takes the machine's time.

use redb::Database;

use super::{
    boot::{BootTime, LastTime},
    tables::Tables,
};

/// The store ignores a difference that NTP corrects without a step, in milliseconds.
const SMALL_MILLIS: u64 = 1_000;

/// Returns the time at which the store continues, in milliseconds since the Unix epoch. `machine_millis` is the time of
/// this machine's clock. Removes entries that have expired, if the time goes back behind their expiry.
pub(super) fn resume(database: &Database, machine_millis: u64, now: Option<&BootTime>) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let (time, changed) = {
        let mut tables = Tables::open(&transaction)?;
        let time = match tables.last_time()?.map(|last| continued(&last, machine_millis, now)) {
            None => machine_millis,
            Some(continued) if continued.abs_diff(machine_millis) <= SMALL_MILLIS => machine_millis,
            Some(continued) if tables.anyone_is_signed_in(continued)? => continued,
            Some(_) => {
                tables.remove_all_sessions()?;
                machine_millis
            }
        };
        (time, tables.changed)
    };
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(time)
}

/// The last time, and the time that has passed since, as far as this machine knows.
fn continued(last: &LastTime, machine_millis: u64, now: Option<&BootTime>) -> u64 {
    let passed = last.machine.as_ref().zip(now).filter(|(last, now)| last.boot == now.boot);
    match passed.and_then(|(last, now)| now.millis.checked_sub(last.millis)) {
        Some(passed) => last.millis.saturating_add(passed),
        None => machine_millis.max(last.millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: u64 = 1_800_000_000_000;
    const HOUR: u64 = 3_600_000;

    fn boot_time(boot: &str, millis: u64) -> BootTime {
        BootTime { boot: boot.to_owned(), millis }
    }

    #[test]
    fn on_the_same_boot_the_machines_clock_does_not_matter() {
        let last = LastTime { millis: LAST, machine: Some(boot_time("a", 5_000)) };
        for machine in [LAST - HOUR, LAST + HOUR] {
            assert_eq!(continued(&last, machine, Some(&boot_time("a", 65_000))), LAST + 60_000);
        }
    }

    #[test]
    fn after_a_boot_the_time_follows_the_machines_clock_but_never_goes_back() {
        for machine in [None, Some(boot_time("a", 5_000))] {
            let last = LastTime { millis: LAST, machine };
            assert_eq!(continued(&last, LAST + HOUR, Some(&boot_time("b", 65_000))), LAST + HOUR);
            assert_eq!(continued(&last, LAST - HOUR, Some(&boot_time("b", 65_000))), LAST);
            assert_eq!(continued(&last, LAST + HOUR, None), LAST + HOUR);
        }
    }
}
