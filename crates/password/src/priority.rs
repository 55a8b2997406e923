//! The scheduling policy of the hashing threads: they run when nobody else wants the core.

/// Niceness where the policy for idle time is refused. Linux counts niceness for each thread.
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// Gives the calling thread the policy `SCHED_IDLE`. A request that arrives takes the core at once; from a thread that
/// is only nice the request would wait for the rest of a time slice, a few milliseconds.
#[cfg(target_os = "linux")]
pub(crate) fn run_in_idle_time() {
    use thread_priority::{
        NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy::Normal, set_thread_priority_and_policy,
        thread_native_id,
    };

    let idle = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle));
    if idle.is_ok() {
        return;
    }
    if let Err(error) = rustix::process::nice(LOWEST_PRIORITY) {
        tracing::warn!(%error, "hashing runs at normal priority: sign-ins may slow token checks down");
    }
}

/// Does nothing: only Linux has a priority for each thread that needs no privilege.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run_in_idle_time() {}
