//! The clock of this machine since its boot. No one can set it, and it also counts while the machine sleeps.

#[cfg(target_os = "linux")]
use std::sync::LazyLock;

/// A moment in the life of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BootTime {
    /// Another value after each boot.
    pub(super) boot: String,
    pub(super) millis: u64,
}

/// The time of the store at one of its writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastTime {
    /// In milliseconds since the Unix epoch.
    pub(super) millis: u64,
    pub(super) machine: Option<BootTime>,
}

impl BootTime {
    /// Now. `None` on a system that does not tell its boots apart.
    #[cfg(target_os = "linux")]
    pub(super) fn now() -> Option<Self> {
        static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
            let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            Some(id.trim_end().to_owned()).filter(|id| !id.is_empty())
        });
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
        Some(Self { boot: BOOT.clone()?, millis: seconds * 1_000 + nanos / 1_000_000 })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn now() -> Option<Self> {
        None
    }
}
