//! Linux: fork and exec by hand, because what must happen between the two is more than the standard library offers;
//! then a pidfd, and the per-process CPU clock.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open, pidfd_send_signal,
    waitid,
};

use super::{Activity, Allowance, Event, Exit, Pipes, Priority, Program, SpawnError, Spawned};

mod activity;
mod allowance;

use allowance::CpuAllowance;

/// Descriptor of the first passed file in the process.
const FIRST_FILE: RawFd = 3;

/// A child process. The thread that spawned it must outlive it: the system kills the child when that *thread* ends.
///
/// No method but [`Self::next_event`] waits for the process, for a disk or for another thread.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    pidfd: OwnedFd,
    /// The CPU time at the end, set just before the process is reaped. From then on its number, and with it its clock, may
    /// belong to another process. So whoever reads something by the number looks here *afterwards*: where this is still
    /// empty, the number was the process's own.
    ended: OnceLock<Duration>,
    allowance: CpuAllowance,
}

impl Process {
    /// Starts a program with an empty environment, in `/`, in a process group of its own (same session, so that the
    /// kernel does not continue it as an orphan), at the priority that is asked for, first to go when memory runs out,
    /// without core dumps, to be killed with this thread.
    ///
    /// Does not wait until the process has become the program, which on a busy machine or from a slow disk takes its time:
    /// [`Starting::wait`] says when it has, or why it could not.
    ///
    /// # Errors
    /// Which step failed, and why. Nothing is left behind then.
    pub fn spawn(program: Program<'_>) -> Result<Spawned, SpawnError> {
        let ours = |source| SpawnError { step: "pipe", source };
        let (child_in, stdin) = io::pipe().map_err(ours)?;
        let (stdout, child_out) = io::pipe().map_err(ours)?;
        let (stderr, child_err) = io::pipe().map_err(ours)?;
        fcntl_setfl(&stderr, OFlags::NONBLOCK).map_err(|error| ours(error.into()))?;
        let (failure, tell) = io::pipe().map_err(ours)?;

        let image = Image::new(program, [child_in.as_fd(), child_out.as_fd(), child_err.as_fd()], &tell)?;
        let parent = rustix::process::getpid();
        // SAFETY: the child calls nothing but async-signal-safe system calls on memory prepared above, then execs or
        // exits; it never returns from `become_program`, so that no destructor of ours runs twice.
        let pid = match unsafe { libc::fork() } {
            -1 => return Err(SpawnError { step: "fork", source: io::Error::last_os_error() }),
            0 => image.become_program(parent),
            pid => Pid::from_raw(pid).expect("fork returns a positive number to the parent"),
        };
        drop((image, child_in, child_out, child_err, tell));

        let handles = || {
            let failed = |step| move |source: io::Error| SpawnError { step, source };
            let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| failed("pidfd_open")(error.into()))?;
            let watched = pidfd.try_clone().map_err(failed("dup"))?;
            Ok((pidfd, watched))
        };
        match handles() {
            Ok((pidfd, watched)) => Ok(Spawned {
                process: Self { pid, pidfd, ended: OnceLock::new(), allowance: CpuAllowance::default() },
                pipes: Pipes { stdin, stdout: Said { pipe: stdout, process: watched }, stderr },
                starting: Starting(failure),
            }),
            Err(error) => {
                // Not reaped yet, so that the number is still this child's.
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
                Err(error)
            }
        }
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Takes the processor away from it at once, wherever it is. A process that is gone is no error.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Undoes [`Self::suspend`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// CPU time of all its threads so far; the final figure once it is gone.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let read = cpu_clock(self.pid);
        self.ended.get().copied().unwrap_or(read)
    }

    /// Lets it compute for more than `seconds - 1` and at most `seconds` of CPU time from now on. After that, and after each
    /// further second, the system sends it SIGXCPU, which ends a program that does not handle it. Before the first call,
    /// nothing bounds it.
    pub fn allow_cpu(&self, seconds: u64) -> Allowance {
        self.allowance.renew(self.pid, seconds)
    }

    /// What it is doing now.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let activity = activity::of(self.pid());
        // The number is its own for as long as nobody has noted its end.
        if self.ended.get().is_some() { Activity::Gone } else { activity }
    }

    /// Blocks until the process is resumed or ends, by whatever hand. To be called by one thread, in a loop, until
    /// it has said [`Event::Ended`].
    ///
    /// # Errors
    /// What the system says; the process is then unknown to it.
    pub fn next_event(&self) -> io::Result<Event> {
        let what = WaitIdOptions::EXITED | WaitIdOptions::CONTINUED;
        let status = loop {
            // Looking does not reap: the CPU clock must be read before the number is free.
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), what | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) => break status,
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if status.continued() {
            let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG);
            return Ok(Event::Resumed);
        }
        self.reap();
        Ok(Event::Ended(exit_of(&status)))
    }

    fn reap(&self) {
        // Set once: whoever reaps is the one thread that waits.
        let _ = self.ended.set(cpu_clock(self.pid));
        self.allowance.end();
        // What it may have left behind in its group, while the group's number can't be anybody else's.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    fn signal(&self, signal: Signal) {
        // Through the pidfd: it can only ever reach this process, and fails when that is gone.
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }
}

/// The way by which a process says that it could not become the program.
#[derive(Debug)]
pub struct Starting(PipeReader);

impl Starting {
    /// Blocks until the process has become the program, has said why it can't, or is gone. One that can't leaves with
    /// status 127. One that was killed before counts as started: how it ended says the rest.
    ///
    /// # Errors
    /// Which step failed in the process, and why.
    pub fn wait(mut self) -> Result<(), SpawnError> {
        let mut message = [0; 5];
        // The pipe ends without a word when the process becomes the program, and when it ends.
        if self.0.read_exact(&mut message).is_err() {
            return Ok(());
        }
        let [step, error @ ..] = message;
        let step = STEPS.get(usize::from(step)).unwrap_or(&"start");
        Err(SpawnError { step, source: io::Error::from_raw_os_error(i32::from_ne_bytes(error)) })
    }
}

/// What the process writes to standard output.
#[derive(Debug)]
pub struct Said {
    pipe: PipeReader,
    process: OwnedFd,
}

impl Read for Said {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let readable = loop {
            let mut both = [PollFd::new(&self.pipe, PollFlags::IN), PollFd::new(&self.process, PollFlags::IN)];
            match poll(&mut both, None) {
                Ok(_) => break !both[0].revents().is_empty(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        if readable { self.pipe.read(buffer) } else { Ok(0) }
    }
}

/// All that the child needs, allocated before the fork.
struct Image {
    path: CString,
    // The strings that `argv` points to.
    _args: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    /// Sources of the descriptors 0, 1, 2, 3, …; all of them numbered above every target.
    sources: Vec<OwnedFd>,
    /// The writing end of the pipe of [`Starting`]. Its target follows those of the sources.
    tell: OwnedFd,
    priority: Priority,
}

impl Image {
    fn new(program: Program<'_>, streams: [BorrowedFd<'_>; 3], tell: &PipeWriter) -> Result<Self, SpawnError> {
        let invalid =
            |_| SpawnError { step: "a path or argument with a NUL", source: io::ErrorKind::InvalidInput.into() };
        let path = CString::new(program.path.as_os_str().as_bytes()).map_err(invalid)?;
        let args: Vec<CString> = std::iter::once(Ok(path.clone()))
            .chain(program.args.iter().map(|&arg| CString::new(arg)))
            .collect::<Result<_, _>>()
            .map_err(invalid)?;
        let argv = args.iter().map(|arg| arg.as_ptr()).chain([std::ptr::null()]).collect();
        // Numbered above every target, so that no dup2 of the child overwrites what is still to be placed.
        let above = FIRST_FILE + RawFd::try_from(program.files.len()).unwrap_or(RawFd::MAX / 2) + 1;
        let copy = |source: BorrowedFd<'_>| {
            fcntl_dupfd_cloexec(source, above).map_err(|error| SpawnError { step: "dup", source: error.into() })
        };
        let files = program.files.iter().map(|file: &Arc<File>| file.as_fd());
        let sources = streams.into_iter().chain(files).map(copy).collect::<Result<_, _>>()?;
        Ok(Self { path, _args: args, argv, sources, tell: copy(tell.as_fd())?, priority: program.priority })
    }

    /// In the child: places the descriptors, drops what it must not have, and execs. Says through the pipe what failed.
    fn become_program(&self, parent: Pid) -> ! {
        let mut tell = self.tell.as_raw_fd();
        let step = self.prepare(parent, &mut tell).err().unwrap_or_else(|| {
            let nothing = [std::ptr::null::<libc::c_char>()];
            // SAFETY: path, argv and the empty environment are NUL-terminated and outlive the call.
            unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), nothing.as_ptr()) };
            Step::Exec
        });
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        let mut message = [0; 5];
        message[0] = step as u8;
        message[1..].copy_from_slice(&error.to_ne_bytes());
        // SAFETY: writes five bytes of the stack to a descriptor we own; _exit runs no destructors.
        unsafe {
            libc::write(tell, message.as_ptr().cast(), message.len());
            libc::_exit(127)
        }
    }

    /// All that comes before exec. `tell` is where the pipe of [`Starting`] is at the moment.
    fn prepare(&self, parent: Pid, tell: &mut RawFd) -> Result<(), Step> {
        let ok = |result: libc::c_long, step| if result < 0 { Err(step) } else { Ok(()) };
        // SAFETY: prctl with this option takes a signal number; it touches no memory.
        ok(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into(), Step::ParentDeath)?;
        // The parent may have died before the line above took effect.
        // SAFETY: getppid has no preconditions.
        if unsafe { libc::getppid() } != parent.as_raw_nonzero().get() {
            return Err(Step::ParentDeath);
        }
        // SAFETY: changes the group of this process only.
        ok(unsafe { libc::setpgid(0, 0) }.into(), Step::Group)?;
        // SAFETY: the path is a NUL-terminated literal.
        ok(unsafe { libc::chdir(c"/".as_ptr()) }.into(), Step::Folder)?;
        for (target, source) in (0..).zip(&self.sources) {
            // SAFETY: both numbers are descriptors of this child only; the copy is not close-on-exec.
            ok(unsafe { libc::dup2(source.as_raw_fd(), target) }.into(), Step::Descriptors)?;
        }
        self.close_the_rest(tell)?;
        be_first_to_go();
        if self.priority == Priority::Idle {
            let idle = libc::sched_param { sched_priority: 0 };
            // SAFETY: `idle` outlives the call. A kernel without this class still gives the lowest priority below.
            unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const idle) };
            // SAFETY: lowers the priority of this process only.
            ok(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) }.into(), Step::Priority)?;
        }
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `none` outlives the call.
        ok(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) }.into(), Step::Core)?;
        // SAFETY: a signal set on the stack is initialised before it is used; SIGPIPE, which our own process ignores,
        // and the mask are inherited by the program otherwise.
        unsafe {
            let mut none = std::mem::MaybeUninit::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        }
        Ok(())
    }

    /// Closes every descriptor but the placed ones and the pipe of [`Starting`], whoever opened it. At once rather than by
    /// exec, which may be long in coming: meanwhile no connection that this process closes may stay open in the child.
    fn close_the_rest(&self, tell: &mut RawFd) -> Result<(), Step> {
        let target = RawFd::try_from(self.sources.len()).map_err(|_| Step::Descriptors)?;
        // SAFETY: both numbers are descriptors of this child only.
        if unsafe { libc::dup3(*tell, target, libc::O_CLOEXEC) } < 0 {
            return Err(Step::Descriptors);
        }
        *tell = target;
        let first = libc::c_uint::try_from(target + 1).map_err(|_| Step::Descriptors)?;
        // SAFETY: closes descriptors of this child only; no value that owns one is dropped afterwards.
        let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
        if result < 0 { Err(Step::Close) } else { Ok(()) }
    }
}

/// Makes this process the one that the kernel ends when memory runs out, before anything of the owner's. Where it can't be,
/// it may still run.
fn be_first_to_go() {
    let most = b"1000";
    // SAFETY: the path is a NUL-terminated literal; the bytes written are as many as given; the descriptor is this
    // function's own, and a failed open makes the rest fail too.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        libc::write(file, most.as_ptr().cast(), most.len());
        libc::close(file);
    }
}

/// What the child was doing when it failed.
#[derive(Clone, Copy)]
enum Step {
    ParentDeath = 1,
    Group,
    Folder,
    Descriptors,
    Close,
    Priority,
    Core,
    Exec,
}

const STEPS: [&str; 9] = [
    "start",
    "set the parent-death signal",
    "setpgid",
    "chdir /",
    "pass descriptors",
    "close_range (Linux 5.9 or newer has it)",
    "setpriority",
    "setrlimit",
    "exec",
];

/// The process's CPU clock, which counts to the nanosecond and works for a zombie too.
fn cpu_clock(pid: Pid) -> Duration {
    read_clock(pid, |precise| precise)
}

/// The clock of the process that `choose` makes of the number of its precise CPU clock.
fn read_clock(pid: Pid, choose: impl FnOnce(libc::clockid_t) -> libc::clockid_t) -> Duration {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write to locals of the right type; an unknown process is an error, and leaves zero.
    unsafe {
        if libc::clock_getcpuclockid(pid.as_raw_nonzero().get(), &raw mut clock) == 0 {
            libc::clock_gettime(choose(clock), &raw mut time);
        }
    }
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}
