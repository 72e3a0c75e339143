/// The signal of Ctrl-Z.
pub const STOP: i32 = libc::SIGTSTP;

/// From now on this process is not stopped because it writes to a terminal, or reads from it, while another job has it. A
/// write succeeds, and a read fails.
pub fn never_stop_for_output() {
    for signal in [libc::SIGTTOU, libc::SIGTTIN] {
        // SAFETY: ignoring a signal runs no code of ours, and these are valid signals.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Stops this process with all its threads, and returns when somebody has continued it.
pub fn stop_this_process() {
    // To this very thread: sent to the process, another thread might take it, and this one run on for a moment.
    // SAFETY: it is a valid signal, and its effect is the kernel's alone.
    unsafe { libc::raise(libc::SIGSTOP) };
}
