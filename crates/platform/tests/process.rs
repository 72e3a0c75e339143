//! Processes as a supervisor starts them: what they inherit, how they are held, how they end.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use surge_platform::process::{Activity, Event, Exit, Pipes, Priority, Process, Program, SpawnError, Spawned};

/// Ten times what anything here takes on a slow machine.
const HANG: Duration = Duration::from_secs(60);
/// CPU time that a process at idle priority gets soon, even where others use every processor: it gets about a thousandth.
const A_LITTLE: Duration = Duration::from_millis(1);

/// As fcntl(2) has it; the `libc` crate lacks it.
const F_SETSIG: libc::c_int = 10;

fn spawn(path: &str, args: &[&str], files: &[Arc<File>]) -> (Process, Pipes) {
    let Spawned { process, pipes, starting } =
        Process::spawn(Program { path: Path::new(path), args, files, priority: Priority::Idle }).unwrap();
    starting.wait().unwrap();
    (process, pipes)
}

#[test]
fn only_what_is_to_be_idle_is() {
    // The scheduling class is field 41 of stat(5): 0 for the usual one, 5 for the idle one.
    let script = "cut -d' ' -f19,41 /proc/self/stat";
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let own: Vec<_> = own.rsplit(')').next().unwrap().split_whitespace().collect();
    for (priority, told) in [(Priority::Idle, "19 5".to_owned()), (Priority::Usual, format!("{} {}", own[16], own[38]))]
    {
        let program = Program { path: Path::new("/bin/sh"), args: &["-c", script], files: &[], priority };
        let Spawned { process, pipes, starting } = Process::spawn(program).unwrap();
        starting.wait().unwrap();
        assert_eq!(output(&process, pipes).trim(), told, "{priority:?}");
    }
}

fn shell(script: &str) -> (Process, Pipes) {
    spawn("/bin/sh", &["-c", script], &[])
}

fn end(process: &Process) -> Exit {
    loop {
        if let Event::Ended(exit) = process.next_event().unwrap() {
            return exit;
        }
    }
}

fn output(process: &Process, mut pipes: Pipes) -> String {
    drop(pipes.stdin);
    let mut text = String::new();
    pipes.stdout.read_to_string(&mut text).unwrap();
    assert_eq!(end(process), Exit::Status(0));
    text
}

fn until(probe: impl Fn() -> bool) {
    let deadline = Instant::now() + HANG;
    while !probe() {
        assert!(Instant::now() < deadline, "it never came about");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn status_line(pid: u32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
}

#[test]
fn a_process_has_three_pipes_and_the_files_it_was_given() {
    let files: Vec<_> = ["first", "second"]
        .map(|text| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.rewind().unwrap();
            Arc::new(file)
        })
        .into();
    // Something that an engine has open, and a worker must never see.
    let secret = File::open("/proc/self/status").unwrap();
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    // The pattern itself opens a folder for a moment: what is gone again is not listed.
    let list = "cat <&3; cat <&4; for fd in /proc/$$/fd/*; do echo; readlink $fd; done; true";
    let (process, pipes) = spawn("/bin/sh", &["-c", list], &files);
    let text = output(&process, pipes);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("firstsecond"));
    let open: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!(open.len(), 5, "{open:?}");
    assert!(open[..3].iter().all(|line| line.starts_with("pipe:")), "{open:?}");
    drop(secret);
}

#[test]
fn a_process_has_no_environment_and_stands_in_the_root_folder() {
    let (process, pipes) = spawn("/usr/bin/env", &[], &[]);
    assert_eq!(output(&process, pipes), "");
    let (process, pipes) = spawn("/bin/pwd", &[], &[]);
    assert_eq!(output(&process, pipes), "/\n");
}

#[test]
fn a_process_is_idle_alone_in_its_group_and_leaves_no_core() {
    let (process, pipes) = shell("read line");
    let pid = process.pid();
    // Counted from the state: group, session, nice, policy as in proc(5).
    let fields = |of: &str| -> Vec<String> {
        let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect()
    };
    let (child, own) = (fields(&pid.to_string()), fields("self"));
    // The session is 0 for both where its leader lives outside this PID namespace, so it is compared as written.
    assert_eq!((&child[2], &child[3]), (&pid.to_string(), &own[3]));
    assert_eq!((child[16].as_str(), child[38].as_str()), ("19", "5"));
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(status_line(pid, "SigBlk:"), "0000000000000000");
    assert_eq!(u64::from_str_radix(&status_line(pid, "SigIgn:"), 16).unwrap() & (1 << 12), 0, "SIGPIPE is ignored");
    drop(pipes);
    end(&process);
}

#[test]
fn a_process_is_the_first_to_go_when_memory_runs_out() {
    let (process, pipes) = spawn("/bin/cat", &["/proc/self/oom_score_adj"], &[]);
    assert_eq!(output(&process, pipes), "1000\n");
}

#[test]
fn a_suspended_process_stands_still_until_it_is_resumed() {
    let (process, _pipes) = shell("while :; do :; done");
    until(|| process.cpu_time() > A_LITTLE);
    process.suspend();
    until(|| process.activity() == Activity::Suspended);
    let at = process.cpu_time();
    let (other, pipes) = shell("echo done");
    assert_eq!(output(&other, pipes), "done\n");
    assert_eq!(process.cpu_time(), at);
    process.resume();
    until(|| process.cpu_time() > at + A_LITTLE);
    assert_eq!(process.activity(), Activity::Running);
    process.kill();
    assert_eq!(end(&process), Exit::Signal(9));
}

/// As in a worker, whose first thread waits for the one that runs the task.
#[test]
fn a_process_computes_while_any_of_its_threads_does() {
    // With the empty environment of such a process this is its thread that computes.
    while std::env::vars_os().next().is_none() {
        std::hint::spin_loop();
    }
    let own = std::env::current_exe().unwrap();
    let args = ["a_process_computes_while_any_of_its_threads_does", "--exact", "--test-threads=2"];
    let program = Program { path: &own, args: &args, files: &[], priority: Priority::Usual };
    let Spawned { process, pipes: _pipes, starting } = Process::spawn(program).unwrap();
    starting.wait().unwrap();
    until(|| status_line(process.pid(), "State:").starts_with('S') && process.activity() == Activity::Running);
    process.suspend();
    until(|| process.activity() == Activity::Suspended);
    process.resume();
    until(|| process.activity() == Activity::Running);
    process.kill();
    assert_eq!(end(&process), Exit::Signal(9));
}

#[test]
fn a_process_is_told_when_it_has_computed_what_it_was_allowed() {
    // At idle priority it might take minutes to compute so much.
    let args = ["-c", "trap 'kill -STOP $$' XCPU; while :; do :; done"];
    let program = Program { path: Path::new("/bin/sh"), args: &args, files: &[], priority: Priority::Usual };
    let Spawned { process, pipes: _pipes, starting } = Process::spawn(program).unwrap();
    starting.wait().unwrap();
    let first = process.allow_cpu(1);
    assert!(!first.ran_out && first.left <= Duration::from_secs(1), "{first:?}");
    until(|| process.activity() == Activity::Suspended);
    let second = process.allow_cpu(3);
    assert!(second.ran_out && second.left > Duration::from_secs(1), "{second:?}");
    // Renewed in time, it is not told.
    process.resume();
    until(|| process.allow_cpu(3).left < Duration::from_millis(2_500));
    assert!(!process.allow_cpu(1).ran_out);
    until(|| process.activity() == Activity::Suspended);
    // Resumed without being allowed more, it is told again.
    process.resume();
    until(|| process.activity() == Activity::Suspended && process.cpu_time() > Duration::from_millis(2_500));
    process.kill();
    assert_eq!(end(&process), Exit::Signal(9));
    assert!(!process.allow_cpu(1).ran_out, "it is gone");
}

#[test]
fn being_continued_is_seen() {
    let (process, _pipes) = shell("read line");
    process.suspend();
    until(|| process.activity() == Activity::Suspended);
    process.resume();
    assert_eq!(process.next_event().unwrap(), Event::Resumed);
    until(|| process.activity() == Activity::Waiting);
    process.kill();
    assert_eq!(end(&process), Exit::Signal(9));
}

#[test]
fn a_process_that_is_gone_keeps_its_account_and_takes_no_signals() {
    let (process, pipes) = shell("i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 7");
    drop(pipes.stdin);
    assert_eq!(end(&process), Exit::Status(7));
    let used = process.cpu_time();
    assert!(used > Duration::ZERO, "{used:?}");
    process.suspend();
    process.resume();
    process.kill();
    assert_eq!((process.cpu_time(), process.activity()), (used, Activity::Gone));
    assert!(!Path::new(&format!("/proc/{}", process.pid())).exists());
}

#[test]
fn ends_are_told_apart() {
    assert_eq!(end(&shell("exit 0").0), Exit::Status(0));
    assert_eq!(end(&shell("exit 3").0), Exit::Status(3));
    assert_eq!(end(&shell("kill -SEGV $$").0), Exit::Signal(11));
}

#[test]
fn what_it_left_behind_in_its_group_dies_with_it() {
    let (process, mut pipes) = shell("sleep 1000 & echo $!; exit 0");
    // The child holds the pipe open; the end of the process ends the reading all the same.
    let mut text = String::new();
    let watch = std::thread::spawn(move || (end(&process), process));
    pipes.stdout.read_to_string(&mut text).unwrap();
    let (exit, _process) = watch.join().unwrap();
    assert_eq!(exit, Exit::Status(0));
    let child = text.trim().to_owned();
    until(|| {
        !Path::new(&format!("/proc/{child}")).exists()
            || std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
}

#[test]
fn a_process_dies_with_the_thread_that_started_it() {
    let process = std::thread::spawn(|| shell("while :; do :; done").0).join().unwrap();
    assert_eq!(end(&process), Exit::Signal(9));
}

#[test]
fn what_cannot_be_started_says_which_step_failed_and_leaves() {
    let fails = |path: &str| -> SpawnError {
        let Spawned { process, starting, .. } =
            Process::spawn(Program { path: Path::new(path), args: &[], files: &[], priority: Priority::Idle }).unwrap();
        let error = starting.wait().unwrap_err();
        assert_eq!(end(&process), Exit::Status(127));
        error
    };
    let missing = fails("/nowhere/worker");
    assert_eq!((missing.step, missing.source.kind()), ("exec", std::io::ErrorKind::NotFound));
    let folder = fails("/tmp");
    assert_eq!((folder.step, folder.source.kind()), ("exec", std::io::ErrorKind::PermissionDenied));
    let nul =
        Process::spawn(Program { path: Path::new("/bin/sh"), args: &["a\0b"], files: &[], priority: Priority::Idle })
            .unwrap_err();
    assert_eq!(nul.source.kind(), std::io::ErrorKind::InvalidInput);
}

/// A program that nobody can execute until this is dropped: a file with a write lease is opened by nobody but its holder.
struct Hanging {
    folder: tempfile::TempDir,
    file: File,
}

impl Hanging {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        // Copied by another process: a descriptor that is open for writing would live on in what other tests fork.
        assert!(std::process::Command::new("cp").arg("/bin/cat").arg(&path).status().unwrap().success());
        let program = Self { file: File::open(&path).unwrap(), folder };
        // The signal that asks for the file is one that is ignored unless a process handles it.
        program.control(F_SETSIG, libc::SIGURG);
        let taken = program.control(libc::F_SETLEASE, libc::F_WRLCK);
        assert_eq!(taken, 0, "no lease: {}", std::io::Error::last_os_error());
        program
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("program")
    }

    fn spawn(&self) -> Spawned {
        Process::spawn(Program { path: &self.path(), args: &[], files: &[], priority: Priority::Idle }).unwrap()
    }

    fn release(&self) {
        assert_eq!(self.control(libc::F_SETLEASE, libc::F_UNLCK), 0);
    }

    #[expect(unsafe_code, reason = "there is no safe form of a file lease")]
    fn control(&self, command: libc::c_int, value: libc::c_int) -> libc::c_int {
        // SAFETY: these commands take an open descriptor and a number.
        unsafe { libc::fcntl(self.file.as_raw_fd(), command, value) }
    }
}

#[test]
fn a_process_that_hangs_in_its_start_holds_up_nobody_and_holds_nothing_of_ours() {
    let program = Hanging::new();
    let (mut from, to) = std::io::pipe().unwrap();
    let Spawned { process, pipes, starting } = program.spawn();
    // Ends when the last writer is gone, and the child was forked while there was one.
    drop(to);
    let mut nothing = Vec::new();
    from.read_to_end(&mut nothing).unwrap();
    let executed = || std::fs::read_link(format!("/proc/{}/exe", process.pid())).unwrap();
    assert_ne!(executed(), program.path(), "it hangs");
    program.release();
    starting.wait().unwrap();
    assert_eq!(executed(), program.path());
    drop(pipes);
    assert_eq!(end(&process), Exit::Status(0));
}

#[test]
fn a_process_can_be_killed_while_it_hangs_in_its_start() {
    let program = Hanging::new();
    let Spawned { process, starting, .. } = program.spawn();
    process.kill();
    starting.wait().unwrap();
    assert_eq!(end(&process), Exit::Signal(9));
}

#[test]
fn reading_its_errors_never_blocks() {
    let (process, mut pipes) = shell("read line; echo oops >&2");
    let mut text = String::new();
    assert_eq!(pipes.stderr.read_to_string(&mut text).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(pipes.stdin);
    end(&process);
    pipes.stderr.read_to_string(&mut text).unwrap();
    assert_eq!(text, "oops\n");
}
