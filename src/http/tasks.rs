//! Tasks that outlive the requests that start them, counted so that a shutdown can wait for them.

use tokio::{sync::watch, task::JoinHandle};

/// Counts the running tasks.
#[derive(Default)]
pub(super) struct Tasks(watch::Sender<usize>);

/// Counts as one running task until it is dropped.
struct Running(watch::Sender<usize>);

impl Tasks {
    /// Runs `work` in a task of its own.
    pub(super) fn spawn<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let running = Running::new(&self.0);
        tokio::spawn(async move {
            let _running = running;
            work().await
        })
    }

    /// Returns when no task runs.
    pub(super) async fn ended(&self) {
        // Fails only if the sender is dropped, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|running| *running == 0).await;
    }
}

impl Running {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|running| *running += 1);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn the_end_of_all_tasks_is_waited_for_even_if_nobody_waits_for_one() {
        let tasks = Tasks::default();
        tasks.ended().await;
        let (finish, finished) = oneshot::channel::<()>();
        drop(tasks.spawn(|| finished));
        let panics = tasks.spawn(|| async { panic!("the test ends this task") });
        assert!(panics.await.is_err());
        assert!(timeout(Duration::from_millis(20), tasks.ended()).await.is_err());
        finish.send(()).unwrap();
        tasks.ended().await;
    }
}
