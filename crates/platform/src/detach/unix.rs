/// Leads a session of its own from now on, and closes every descriptor but the standard three. To be called first of all:
/// a descriptor that this process has opened itself would be closed as well.
///
/// # Errors
/// When this process leads a group of processes already.
pub fn own_session() -> std::io::Result<()> {
    close_inherited();
    rustix::process::setsid()?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn close_inherited() {
    // SAFETY: no value in this process owns a descriptor above 2 yet, as the contract of `own_session` asks for. A kernel
    // that does not know the call closes nothing, which costs open files and nothing else.
    unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) };
}

#[cfg(not(target_os = "linux"))]
fn close_inherited() {
    for descriptor in 3..256 {
        // SAFETY: as on Linux.
        unsafe { libc::close(descriptor) };
    }
}
