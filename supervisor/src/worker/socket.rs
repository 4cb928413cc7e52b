//! A worker's socket, awaited without needless wake-ups.
//!
//! A Unix socket wakes all that wait for room in it whenever its peer has read something, even if
//! there was room all the time; tokio's own `UnixStream` waits for room and for bytes at once,
//! always. With a worker, that needlessly wakes a sleeping thread whenever the worker takes a
//! request. So only a writer that has found no room waits for room.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use enforcer_protocol::FrameBuffer;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// The supervisor's end of a worker's socket.
#[derive(Debug)]
pub(crate) struct WorkerSocket {
    stream: Arc<UnixStream>,
    /// The runtime's registration of the socket, and whether it includes room. `None` only after
    /// that has failed.
    registration: Option<(Interest, AsyncFd<Arc<UnixStream>>)>,
}

const BYTES: Interest = Interest::READABLE;
const BYTES_AND_ROOM: Interest = Interest::READABLE.add(Interest::WRITABLE);

impl WorkerSocket {
    /// Registers the socket with the runtime, in which it has to be called.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let mut socket = Self { stream: Arc::new(stream), registration: None };
        socket.registered(BYTES)?;
        Ok(socket)
    }

    /// Registers with the runtime for this interest, and for no other.
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe for types that change their descriptor; this one does not, and it is not worth unsafe code here"
    )]
    fn registered(&mut self, interest: Interest) -> io::Result<&AsyncFd<Arc<UnixStream>>> {
        // A file descriptor can be registered only once.
        self.registration.take_if(|(now, _)| *now != interest);
        match &mut self.registration {
            Some((_, registration)) => Ok(registration),
            none => {
                let stream = Arc::clone(&self.stream);
                Ok(&none.insert((interest, AsyncFd::with_interest(stream, interest)?)).1)
            }
        }
    }

    /// Waits until there are bytes, and reads once; with `or_room`, also until there is room to
    /// write, and then there may be nothing to read: `None`. At the socket's end, no bytes are
    /// read. It is cancel safe.
    pub(crate) async fn wait(
        &mut self,
        or_room: bool,
        inbox: &mut FrameBuffer,
    ) -> io::Result<Option<usize>> {
        let interest = if or_room { BYTES_AND_ROOM } else { BYTES };
        let mut guard = self.registered(interest)?.ready(interest).await?;
        // The writer finds out whether there is still room; if not, the kernel reports it again.
        guard.clear_ready_matching(Ready::WRITABLE);
        if !guard.ready().is_readable() {
            return Ok(None);
        }
        let count = taken(inbox.fill(&mut &**guard.get_inner()))?;
        // A read that does not fill the buffer got all bytes (`epoll(7)`), and the next ones are
        // reported.
        if count.is_none() || inbox.has_space() {
            guard.clear_ready_matching(Ready::READABLE);
        }
        Ok(count)
    }

    /// Waits until there is room to write.
    pub(crate) async fn room(&mut self) -> io::Result<()> {
        self.registered(BYTES_AND_ROOM)?.writable().await?.clear_ready();
        Ok(())
    }

    /// Reads once. `None`: no bytes were there.
    pub(crate) fn try_read(&mut self, inbox: &mut FrameBuffer) -> io::Result<Option<usize>> {
        taken(inbox.fill(&mut &*self.stream))
    }

    /// Writes as much as there is room for. `None`: there was no room.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        taken((&*self.stream).write(bytes))
    }
}

fn taken(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Read;
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle};
    use tokio::time::timeout;

    fn pair() -> (WorkerSocket, UnixStream, FrameBuffer) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (WorkerSocket::new(ours).unwrap(), theirs, FrameBuffer::new(1 << 20))
    }

    /// Writes until there is no more room.
    fn fill(socket: &mut WorkerSocket) -> usize {
        let mut written = 0;
        while let Some(count) = socket.try_write(&[0; 4096]).unwrap() {
            written += count;
        }
        written
    }

    #[test]
    fn the_worker_s_reads_wake_no_thread() {
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        let parks = |runtime: &Handle| runtime.metrics().worker_park_count(0);
        let handle = runtime.handle().clone();
        let (ready, is_ready) = mpsc::channel();
        let (mut socket, mut worker, mut inbox) = {
            let _entered = runtime.enter();
            pair()
        };
        socket.try_write(b"a request").unwrap();
        let worker = std::thread::spawn(move || {
            is_ready.recv().unwrap();
            // Other wake-ups at the runtime's start are over once it keeps waiting.
            let mut first = parks(&handle);
            while is_ready.recv_timeout(Duration::from_millis(50)).is_ok()
                || parks(&handle) != first
            {
                first = parks(&handle);
            }
            let mut request = [0; 9];
            worker.read_exact(&mut request).unwrap();
            // Being woken takes microseconds. Only time can pass here: there is no event to wait
            // for.
            let _ = is_ready.recv_timeout(Duration::from_millis(50));
            let woken = parks(&handle) - first;
            worker.write_all(b"an answer").unwrap();
            (woken, worker)
        });
        let came = runtime.block_on(async {
            ready.send(()).unwrap();
            socket.wait(false, &mut inbox).await.unwrap()
        });
        assert_eq!(came, Some(9));
        assert_eq!(worker.join().unwrap().0, 0);
    }

    #[tokio::test]
    async fn a_writer_that_found_no_room_is_told_of_room_and_of_bytes() {
        let (mut socket, mut worker, mut inbox) = pair();
        for _ in 0..3 {
            let written = fill(&mut socket);
            let waiting = timeout(Duration::from_millis(20), socket.wait(true, &mut inbox));
            waiting.await.unwrap_err();
            worker.write_all(b"an answer").unwrap();
            assert_eq!(socket.wait(true, &mut inbox).await.unwrap(), Some(9));
            worker.read_exact(&mut vec![0; written]).unwrap();
            assert_eq!(socket.wait(true, &mut inbox).await.unwrap(), None);
        }
        let written = fill(&mut socket);
        let reader = std::thread::spawn(move || worker.read_exact(&mut vec![0; written]));
        socket.room().await.unwrap();
        reader.join().unwrap().unwrap();
    }

    #[tokio::test]
    async fn more_than_is_read_at_once_is_read_to_its_end() {
        let (mut socket, mut worker, mut inbox) = pair();
        let frame = [&100_000_u32.to_be_bytes()[..], &[7; 100_000]].concat();
        worker.write_all(&frame).unwrap();
        let mut read = 0;
        while read < frame.len() {
            if let Some(count) = socket.wait(false, &mut inbox).await.unwrap() {
                read += count;
            }
        }
        assert_eq!(inbox.next_frame().unwrap(), Some(&[7; 100_000][..]));
        drop(worker);
        assert_eq!(socket.wait(false, &mut inbox).await.unwrap(), Some(0));
        // And again, for the next caller.
        assert_eq!(socket.wait(true, &mut inbox).await.unwrap(), Some(0));
        assert!(socket.try_write(b"to nobody").is_err());
    }
}
