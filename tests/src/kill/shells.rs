//! Shells as victims: their death stops no work, and leaves none without an engine.
//!
//! Deliberately absent: `surge session`. It tells the system's service of a login session, and its death is meant to stop
//! work: nobody knows any more whether that session is used. `cargo xtask systemd` kills it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::engine::{Engine, StartedBy};
use super::tally::Victim;
use super::{Run, cpu_ms};
use crate::command::through;
use crate::graphical::Graphical;
use crate::network::{Running, built, wait_for};
use crate::process::children;

/// A display for the desktop app.
///
/// # Errors
/// Why there is no desktop app to kill.
pub(super) fn display() -> Result<Graphical, String> {
    built("surge-desktop").ok_or("surge-desktop is not built")?;
    Graphical::start().map_err(|error| format!("no display can be had: {error:#}"))
}

impl Run {
    /// `surge status --watch`, at a moment after its first line.
    pub(super) fn kill_watcher(&mut self) {
        let mut watch = self.contributor.surge();
        watch.args(["status", "--watch"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        self.wait_for_engine();
        let mut watch = Running(watch.spawn().expect("surge starts"));
        let mut line = String::new();
        let mut lines = BufReader::new(watch.0.stdout.take().expect("it is a pipe"));
        lines.read_line(&mut line).expect("a pipe can be read");
        assert!(!line.is_empty(), "it shows the engine that runs");
        self.kill_shell(Victim::Watcher, watch);
    }

    /// The app, beside an engine that was there before it.
    pub(super) fn kill_desktop(&mut self) {
        self.wait_for_engine();
        let app = self.open_desktop();
        self.kill_shell(Victim::Desktop, app);
    }

    /// The shell of a terminal in which an engine was started, after the death of the one before.
    pub(super) fn kill_terminal(&mut self) {
        self.crash_engine();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "\"$0\" \"$@\" 2>>\"$LOG\" & wait"]);
        let mut shell = through(shell, &self.engine_command());
        shell.env("LOG", self.contributor.home.join("engine.log")).stdin(Stdio::null());
        let shell = Running(shell.spawn().expect("there is a shell"));
        self.take_over(StartedBy::Terminal);
        self.kill_shell(Victim::Terminal, shell);
    }

    /// The app that found no engine and started one, after the death of the one before.
    pub(super) fn kill_desktop_that_started(&mut self) {
        self.crash_engine();
        let app = self.open_desktop();
        self.take_over(StartedBy::Desktop);
        self.kill_shell(Victim::DesktopThatStarted, app);
    }

    fn open_desktop(&self) -> Running {
        let graphical = self.graphical.as_ref().expect("it is dealt only where there is one");
        let mut app = graphical.app(&built("surge-desktop").expect("as before"), &self.contributor.home);
        let app = Running(app.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the app starts"));
        wait_for("the window", || graphical.screen.window("Surge").expect("the display answers"));
        app
    }

    /// The engine that answers now is the one that somebody else has started.
    fn take_over(&mut self, started_by: StartedBy) {
        let pid = wait_for("the engine that a shell started", || self.ask()).hello.pid;
        self.engine = Some(Engine { pid, started_by });
    }

    /// Kills `shell` while there is work, and sees to it that everything goes on.
    fn kill_shell(&mut self, victim: Victim, shell: Running) {
        self.pause();
        let before = wait_for("work", || {
            // A shell takes its time to open, and what there was to do may be done by now.
            self.top_up();
            self.ask().filter(|engine| !engine.snapshot.workers.is_empty())
        });
        let workers: Vec<_> = before
            .snapshot
            .workers
            .iter()
            // One that is gone by now was not met by this kill.
            .filter_map(|worker| Some((worker.lease.to_string(), worker.pid, cpu_ms(worker.pid)?)))
            .collect();
        drop(shell);
        self.tally.count(victim);
        let after = wait_for("an answer after a shell's death", || self.ask());
        assert_eq!(after.hello.pid, before.hello.pid, "the engine died with {victim:?}");
        for (lease, pid, cpu) in workers {
            let computes = |run: &Self| match cpu_ms(pid) {
                Some(now) => (now > cpu).then_some(true),
                None => run.has_result(&lease).then_some(false),
            };
            let goes_on = wait_for("a worker to go on after a shell's death", || computes(self));
            self.tally.workers_undisturbed += u32::from(goes_on);
            let attended = !goes_on || children(after.hello.pid).contains(&pid) || cpu_ms(pid).is_none();
            assert!(attended, "worker {pid} has lost its engine with {victim:?}");
        }
    }
}
