//! The scheduling policy of the hashing threads: they run when no other thread needs the core.

/// The nice value if the system refuses the policy `SCHED_IDLE`. Linux applies a nice value to a single thread.
#[cfg(target_os = "linux")]
const LOWEST_PRIORITY: i32 = 19;

/// Gives the calling thread the policy `SCHED_IDLE`, so that an arriving request takes the core immediately. With a
/// nice value alone, the request would wait for the end of a time slice, a few milliseconds.
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
        tracing::warn!(%error, "hashing runs at normal priority, so sign-ins may slow down token checks");
    }
}

/// Does nothing, because only Linux lets a single thread lower its priority without a privilege.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run_in_idle_time() {}
