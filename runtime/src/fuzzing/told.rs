//! What a worker is told by its supervisor, which it has no reason to doubt, and hears as if it had.

use surge_protocol::frame::{self, ToWorker};

use super::shim::restored;
use crate::{run, worker};

/// Hears a task, and takes it as far as it goes without its program.
pub fn told(bytes: &[u8]) {
    let mut from = bytes;
    let Ok(ToWorker::Task(start)) = frame::read(&mut from) else { return };
    if !start.data.is_empty() {
        // Their descriptors would be this process's own.
        return;
    }
    let announced = (start.program_size, start.stdin_size, start.state_size);
    if let Ok(Ok(work)) = worker::hear(start, &mut from) {
        let arrived = (work.program.len() as u64, work.stdin.len() as u64, work.state.len() as u64);
        assert_eq!(arrived, announced, "more or less than was announced");
        let _ = run::check_arguments(&work.start.args);
        restored(&work.state, work.start.limits.files_bytes.min(1 << 20));
    }
}
