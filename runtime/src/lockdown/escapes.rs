//! The escapes themselves. Each returns `Ok` only where it got what it was after.

use std::io;
use std::ptr;

type Escape = fn() -> io::Result<()>;

pub(super) const ALL: &[(&str, Escape)] = &[
    ("read_file", read_file),
    ("write_file", write_file),
    ("list_folder", list_folder),
    ("tcp", tcp),
    ("udp", udp),
    ("unix_socket", unix_socket),
    ("abstract_socket", abstract_socket),
    ("fork", fork),
    ("thread", thread),
    ("exec", exec),
    ("exec_from_memory", exec_from_memory),
    ("ptrace", ptrace),
    ("signal_parent", signal_parent),
    ("stop_another", stop_another),
    ("read_own_memory_file", read_own_memory_file),
    ("read_parents_memory", read_parents_memory),
    ("user_namespace", user_namespace),
    ("mount", mount),
    ("io_uring", io_uring),
    ("keyring", keyring),
    ("setuid", setuid),
    ("bpf", bpf),
    ("perf", perf),
    ("priority", priority),
    ("capabilities", capabilities),
    ("merge_memory", merge_memory),
    ("priority_futex", priority_futex),
    ("write_and_execute", write_and_execute),
    ("new_code", new_code),
];

fn ok(result: impl Into<i64>) -> io::Result<i64> {
    let result = result.into();
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn open(path: &std::ffi::CStr, flags: i32) -> io::Result<i32> {
    // SAFETY: the path is NUL-terminated and outlives the call.
    Ok(ok(unsafe { libc::open(path.as_ptr(), flags, 0o600) })? as i32)
}

fn read_file() -> io::Result<()> {
    open(c"/etc/passwd", libc::O_RDONLY).map(drop)
}

fn write_file() -> io::Result<()> {
    let path = c"/tmp/surge-probe";
    open(path, libc::O_CREAT | libc::O_WRONLY)?;
    // SAFETY: the path is NUL-terminated and outlives the call.
    ok(unsafe { libc::unlink(path.as_ptr()) }).map(drop)
}

fn list_folder() -> io::Result<()> {
    open(c"/", libc::O_RDONLY | libc::O_DIRECTORY).map(drop)
}

fn socket(domain: i32, kind: i32) -> io::Result<i32> {
    // SAFETY: takes numbers only.
    Ok(ok(unsafe { libc::socket(domain, kind, 0) })? as i32)
}

/// Binds a port and listens.
fn tcp() -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM)?;
    bind_loopback(socket)?;
    // SAFETY: takes numbers only.
    ok(unsafe { libc::listen(socket, 1) }).map(drop)
}

/// Sends to the discard port.
fn udp() -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM)?;
    let to = loopback(9);
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: buffer and address outlive the call and have the lengths given.
    ok(unsafe { libc::sendto(socket, b"x".as_ptr().cast(), 1, 0, (&raw const to).cast(), length) } as i64).map(drop)
}

fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(std::net::Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    }
}

fn bind_loopback(socket: i32) -> io::Result<()> {
    let address = loopback(0);
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the address outlives the call and has the length given.
    ok(unsafe { libc::bind(socket, (&raw const address).cast(), length) }).map(drop)
}

fn unix_socket() -> io::Result<()> {
    let mut pair = [0; 2];
    // SAFETY: the pair outlives the call.
    ok(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()) }).map(drop)
}

fn abstract_socket() -> io::Result<()> {
    let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM)?;
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; 108] };
    address.sun_path[1] = b's' as libc::c_char;
    // SAFETY: the address outlives the call and is longer than the length given.
    ok(unsafe { libc::bind(socket, (&raw const address).cast(), 4) }).map(drop)
}

fn fork() -> io::Result<()> {
    // SAFETY: the child does nothing but leave.
    match ok(unsafe { libc::fork() })? {
        // SAFETY: leaves without running destructors.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }
}

fn thread() -> io::Result<()> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK;
    // SAFETY: a child that shares memory and stack, while this thread waits; it does nothing but leave.
    match ok(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })? {
        // SAFETY: leaves without running destructors.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }
}

/// Gets through by becoming a program that leaves with status 0.
fn exec() -> io::Result<()> {
    let argv = [c"true".as_ptr(), ptr::null()];
    // SAFETY: path, argv and the empty environment are NUL-terminated and outlive the call.
    ok(unsafe { libc::execve(c"/bin/true".as_ptr(), argv.as_ptr(), argv[1..].as_ptr()) }).map(drop)
}

fn exec_from_memory() -> io::Result<()> {
    let script = b"#!/bin/true\n";
    let argv = [c"true".as_ptr(), ptr::null()];
    // SAFETY: every pointer is to NUL-terminated or counted bytes that outlive the calls.
    unsafe {
        let file = ok(libc::memfd_create(c"x".as_ptr(), 0))? as i32;
        ok(libc::write(file, script.as_ptr().cast(), script.len()) as i64)?;
        ok(libc::fexecve(file, argv.as_ptr(), argv[1..].as_ptr())).map(drop)
    }
}

fn ptrace() -> io::Result<()> {
    // SAFETY: asks to be traced; touches no memory.
    ok(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }).map(drop)
}

fn signal_parent() -> io::Result<()> {
    // SAFETY: signal 0 asks whether a signal could be sent.
    ok(unsafe { libc::kill(libc::getppid(), 0) }).map(drop)
}

/// Stops a process that is not this one. This one it may stop.
fn stop_another() -> io::Result<()> {
    // SAFETY: takes numbers only. No process has this number: the kernel gives none above 2^22.
    match ok(unsafe { libc::kill(i32::MAX, libc::SIGSTOP) }) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        other => other.map(drop),
    }
}

fn read_own_memory_file() -> io::Result<()> {
    open(c"/proc/self/mem", libc::O_RDWR).map(drop)
}

fn read_parents_memory() -> io::Result<()> {
    // The program's first page: its header, at the address of ours, as both are position-independent it need not be
    // there; being told so (EFAULT) means that the other memory was looked at.
    let mut byte = 0_u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let there = libc::iovec { iov_base: ptr::dangling_mut::<u8>().cast(), iov_len: 1 };
    // SAFETY: the local buffer is one byte that outlives the call; the remote one is another process's.
    let read =
        ok(unsafe { libc::process_vm_readv(libc::getppid(), &raw const here, 1, &raw const there, 1, 0) } as i64);
    match read {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => other.map(drop),
    }
}

fn user_namespace() -> io::Result<()> {
    // SAFETY: takes flags only.
    ok(unsafe { libc::unshare(libc::CLONE_NEWUSER) }).map(drop)
}

fn mount() -> io::Result<()> {
    // SAFETY: every string is NUL-terminated and outlives the calls; the mount is seen by this process only.
    unsafe {
        if libc::geteuid() != 0 {
            ok(libc::unshare(libc::CLONE_NEWUSER))?;
        }
        ok(libc::unshare(libc::CLONE_NEWNS))?;
        ok(libc::mount(c"none".as_ptr(), c"/".as_ptr(), ptr::null(), libc::MS_REC | libc::MS_PRIVATE, ptr::null()))?;
        ok(libc::mount(c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, ptr::null())).map(drop)
    }
}

fn io_uring() -> io::Result<()> {
    let mut parameters = [0_u64; 15];
    // SAFETY: the parameters are as large as the kernel's structure and outlive the call.
    ok(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) }).map(drop)
}

fn keyring() -> io::Result<()> {
    // KEYCTL_GET_KEYRING_ID of the process keyring, created if it is not there.
    // SAFETY: takes numbers only.
    ok(unsafe { libc::syscall(libc::SYS_keyctl, 0, -2, 1) }).map(drop)
}

fn setuid() -> io::Result<()> {
    // SAFETY: takes a number only: the one that it has.
    ok(unsafe { libc::setuid(libc::getuid()) }).map(drop)
}

fn bpf() -> io::Result<()> {
    // An array map of one element: what unprivileged users may make where the system lets them.
    let attributes = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the attributes have the size given and outlive the call.
    ok(unsafe { libc::syscall(libc::SYS_bpf, 0, attributes.as_ptr(), size_of_val(&attributes)) }).map(drop)
}

fn perf() -> io::Result<()> {
    // A software clock of this process: type 1, size 64, config 0, user time only.
    let mut attributes = [0_u64; 16];
    attributes[0] = 1 | 64 << 32;
    attributes[5] = 1 << 5 | 1 << 6;
    // SAFETY: the attributes are as large as they say and outlive the call.
    ok(unsafe { libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0) }).map(drop)
}

/// Leaves the idle scheduling class for the ordinary one.
fn priority() -> io::Result<()> {
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter outlives the call.
    ok(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const ordinary) }).map(drop)
}

/// Has the rights of the superuser, where it is run by one.
fn capabilities() -> io::Result<()> {
    let mut header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: header and sets are as large as this version of the call has them, and outlive it.
    ok(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) })?;
    let [effective, permitted, ..] = sets;
    if effective | permitted == 0 { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

/// Has the kernel merge this page with an equal one of another program: how long a write takes then tells what others
/// have in memory. The same call, for the superuser, takes pages away from the machine.
fn merge_memory() -> io::Result<()> {
    let page = map(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the page is ours and not used for anything.
    ok(unsafe { libc::madvise(page.cast(), 4_096, libc::MADV_MERGEABLE) }).map(drop)
}

/// Locks by a kind of futex that the kernel keeps an account of, in which flaws were found before.
fn priority_futex() -> io::Result<()> {
    let mut word = 0_u32;
    let nothing = ptr::null::<libc::timespec>();
    let lock = libc::FUTEX_LOCK_PI | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word outlives the call; it is free, so that nobody is waited for.
    ok(unsafe { libc::syscall(libc::SYS_futex, &raw mut word, lock, 0, nothing) }).map(drop)
}

fn map(protection: i32) -> io::Result<*mut u8> {
    // SAFETY: a new anonymous page; nothing that exists is touched.
    let page =
        unsafe { libc::mmap(ptr::null_mut(), 4_096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(page.cast()) }
}

fn write_and_execute() -> io::Result<()> {
    map(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC).map(drop)
}

/// Writes code, then makes it executable: what a compiler does, and what nobody may do once the program runs.
fn new_code() -> io::Result<()> {
    let page = map(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the page is ours and not used for anything.
    ok(unsafe { libc::mprotect(page.cast(), 4_096, libc::PROT_READ | libc::PROT_EXEC) }).map(drop)
}
