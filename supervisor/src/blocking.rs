//! Work that blocks, such as reading files, on threads that give way to decisions. A file system
//! may hang for ever, so every wait for such work has a deadline.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Why blocking work gave no result.
#[derive(Debug)]
pub(crate) enum BlockingError<T> {
    /// It did not end in time. It continues, and keeps its thread until it ends.
    Hangs(JoinHandle<T>),
    /// It panicked, or the host has no thread for it.
    Failed,
}

/// Runs `work` on a thread of `runtime` that may block, and waits for it, at most `patience`.
pub(crate) async fn blocking_with_timeout<T: Send + 'static>(
    runtime: &Handle,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlockingError<T>> {
    let mut running = spawn_blocking_on(runtime, work);
    match timeout(patience, &mut running).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(BlockingError::Failed),
        Err(_) => Err(BlockingError::Hangs(running)),
    }
}

/// Runs `work` on a thread of `runtime` that may block. A host without a thread for it, which makes
/// tokio panic, fails the returned task and not its caller.
pub(crate) fn spawn_blocking_on<T: Send + 'static>(
    runtime: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let runtime = runtime.clone();
    tokio::spawn(async move {
        match runtime.spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Cancelled: the runtime ends, and so do those that wait.
            Err(_) => std::future::pending().await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_file_system_that_hangs_is_not_waited_for() {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let here = Handle::current();
        let reading = {
            let here = here.clone();
            tokio::spawn(async move {
                blocking_with_timeout(&here, PATIENCE, move || released.recv()).await
            })
        };
        tokio::task::yield_now().await;
        tokio::time::advance(PATIENCE).await;
        let Err(BlockingError::Hangs(work)) = reading.await.unwrap() else {
            panic!("the result was awaited")
        };
        assert!(!work.is_finished());
        release.send(()).unwrap();
        work.await.unwrap().unwrap();
        assert!(matches!(blocking_with_timeout(&here, PATIENCE, || 7).await, Ok(7)));
    }

    #[tokio::test]
    async fn work_that_panics_fails_itself_alone() {
        let here = Handle::current();
        let panics = || -> u8 { panic!("as it should") };
        let result = blocking_with_timeout(&here, PATIENCE, panics).await;
        assert!(matches!(result, Err(BlockingError::Failed)));
    }
}
