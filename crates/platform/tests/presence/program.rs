//! Programs that end with their test.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Program(pub(crate) Child);

impl Program {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example in surroundings of our own, once it says that somebody is here.
pub(crate) fn example_that_sees_somebody(variable: &str, value: &str) -> Program {
    let built: PathBuf = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/presence");
    let mut program = Command::new(built)
        .arg("600")
        .env_clear()
        .env(variable, value)
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo builds the example with the tests");
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "active");
    Program(program)
}

/// How often any thread of a program slept and was woken.
pub(crate) fn wakes(program: &Program) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", program.0.id())).unwrap();
    let of_one = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks.filter_map(|task| of_one(std::fs::read_to_string(task.ok()?.path().join("status")).ok()?)).sum()
}
