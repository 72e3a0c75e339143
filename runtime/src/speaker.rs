//! What the worker says: frames on its standard output, the program's output in chunks, its log as it comes.
//!
//! Deliberately absent: waiting for an answer. A supervisor that does not read suspends the program with it.

use std::fmt;
use std::io::Write;

use surge_protocol::frame::{self, CHUNK, FrameError, FromWorker};
use surge_protocol::task::Limits;

use crate::ending::Ending;

/// The way to the supervisor, with the quotas of what the program may write.
pub(crate) struct Speaker {
    to: Box<dyn Write + Send>,
    output: Vec<u8>,
    /// Bytes of output taken from the program so far, and at most.
    written: u64,
    most: u64,
    /// Bytes of log that may still be written.
    log_left: u64,
}

impl Speaker {
    pub(crate) fn new(to: impl Write + Send + 'static, limits: &Limits) -> Self {
        Self { to: Box::new(to), output: Vec::new(), written: 0, most: limits.output_bytes, log_left: limits.log_bytes }
    }

    /// Says one thing, after all output that was written before.
    pub(crate) fn say(&mut self, what: &FromWorker) -> Result<(), FrameError> {
        self.flush()?;
        frame::write(&mut self.to, what)?;
        self.to.flush().map_err(FrameError::Io)
    }

    /// Output of the program.
    ///
    /// # Errors
    /// `limit` / `output` when it is more than the task allows: exactly what is allowed is kept. `host` when nobody
    /// listens any more.
    pub(crate) fn output(&mut self, mut bytes: &[u8]) -> Result<(), Ending> {
        let room = self.most - self.written;
        let too_much = bytes.len() as u64 > room;
        if too_much {
            bytes = &bytes[..usize::try_from(room).expect("room is less than a length in memory")];
        }
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.output.len()));
            self.output.extend_from_slice(now);
            bytes = later;
            if self.output.len() == CHUNK {
                self.flush().map_err(unheard)?;
            }
        }
        if too_much {
            return Err(Ending::limit(
                "output",
                format!("it wrote more than the {} bytes of output allowed", self.most),
            ));
        }
        Ok(())
    }

    /// Log of the program. What is too much is dropped, and the program goes on.
    pub(crate) fn log(&mut self, bytes: &[u8]) -> Result<(), Ending> {
        let length = usize::try_from(self.log_left).unwrap_or(usize::MAX).min(bytes.len());
        for chunk in bytes[..length].chunks(CHUNK) {
            self.log_left -= chunk.len() as u64;
            frame::write(&mut self.to, &FromWorker::Log(chunk.to_vec())).map_err(unheard)?;
        }
        Ok(())
    }

    /// Says something large in frames of a bounded size.
    ///
    /// # Errors
    /// `host` when nobody listens any more.
    pub(crate) fn parts(&mut self, whole: &[u8], part: impl Fn(Vec<u8>) -> FromWorker) -> Result<(), Ending> {
        whole.chunks(CHUNK).try_for_each(|chunk| frame::write(&mut self.to, &part(chunk.to_vec()))).map_err(unheard)
    }

    /// Hands over the image of `/state`.
    ///
    /// # Errors
    /// `host` when nobody listens any more.
    pub(crate) fn checkpoint(&mut self, image: &[u8]) -> Result<(), Ending> {
        self.parts(image, FromWorker::State)?;
        self.say(&FromWorker::Synced).map_err(unheard)
    }

    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    fn flush(&mut self) -> Result<(), FrameError> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        frame::write(&mut self.to, &FromWorker::Output(output))
    }
}

fn unheard(error: FrameError) -> Ending {
    Ending::host("unheard", format!("the supervisor does not listen: {error}"))
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("written", &self.written).field("most", &self.most).finish_non_exhaustive()
    }
}
