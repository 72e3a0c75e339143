//! A login session with its reporter, for an engine that belongs to no session.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Bed, DISPLAY, IDLE_AFTER};
use crate::machine::Told;
use crate::process::stopped;

impl Bed {
    /// Alice logs in to a desktop, with its reporter.
    pub(super) fn session(&self) -> Result<String> {
        let machine = &self.machine;
        let idle_after = format!("idle_after_seconds={IDLE_AFTER}");
        self.limits(&["presence=sessions", &idle_after, "greeter_idle=false"])?;
        self.held_by("user_active").context("nobody is logged in, and that is no idleness")?;
        self.limits(&["greeter_idle=true"])?;
        self.worker().context("nobody is logged in, and that is idleness")?;
        machine.run(&[
            "systemd-run",
            "--unit=desktop",
            "--uid=alice",
            "--property=PAMName=surge-desktop",
            &format!("--setenv=DISPLAY={DISPLAY}"),
            "desktop",
        ])?;
        let session = machine.wait("alice's session", || {
            let listed = machine.run(&["loginctl", "list-sessions", "--no-legend"])?;
            Ok(listed
                .lines()
                .find(|line| line.contains("alice"))
                .and_then(|line| Some(line.split_whitespace().next()?.to_owned())))
        })?;
        machine.wait("alice's display", || Ok(self.xdotool(&["getmouselocation"]).ok()))?;
        // Until it has a reporter, a desktop counts as used.
        self.held_by("user_active")?;
        self.start_reporter()?;
        let worker = self.worker()?;
        let mut slowest = Duration::ZERO;
        for _ in 0..5 {
            self.machine.wait("work", || Ok((!stopped(worker)).then_some(())))?;
            let pressed = Instant::now();
            self.xdotool(&["key", "shift"])?;
            machine.wait("the worker to be suspended", || Ok(stopped(worker).then_some(())))?;
            slowest = slowest.max(pressed.elapsed());
        }
        Ok(format!(
            "session {session}; five keys stopped the work within {} ms, the start of xdotool included",
            slowest.as_millis()
        ))
    }

    pub(super) fn reporter_killed(&self) -> Result<String> {
        let worker = self.worker()?;
        let killed = Instant::now();
        self.machine.run(&["pkill", "-9", "-u", "alice", "-x", "surge"])?;
        self.machine.wait("the worker to be suspended", || Ok(stopped(worker).then_some(())))?;
        let stopped = killed.elapsed();
        self.held_by("user_active")?;
        let notice = self.until("the notice", |state| state["notices"].to_string().contains("reporter_lost"))?;
        let log = self.machine.run(&["journalctl", "--unit=surge", "--no-pager", "--output=cat"])?;
        ensure!(log.contains("The reporter of a session was killed or has crashed"), "no line in the log");
        self.start_reporter()?;
        self.worker()?;
        ensure!(!self.state()?["notices"].to_string().contains("reporter_lost"), "another reporter ends it");
        Ok(format!("held after {} ms; {}", stopped.as_millis(), notice["notices"][0]["detail"]))
    }

    pub(super) fn wrong_reporters(&self) -> Result<String> {
        // A second one in the same session, started from within it.
        let second = self.in_session(&["surge", "session"])?;
        ensure!(second.status == Some(12) && second.err.contains("session_reported"), "{second:?}");
        // In alice's session as another user, as after `su`.
        let stranger = self.in_session_as("bob", &["surge", "session"])?;
        ensure!(stranger.err.contains("anothers_session"), "{stranger:?}");
        let without = Told::of(&mut self.machine.command(&[
            "systemd-run",
            "--quiet",
            "--pipe",
            "--wait",
            "--uid=bob",
            "surge",
            "session",
        ]))?;
        ensure!(without.err.contains("no_session"), "{without:?}");
        self.worker()?;
        Ok("session_reported, anothers_session, no_session".into())
    }

    fn xdotool(&self, args: &[&str]) -> Result<String> {
        self.machine.run_as("alice", &[&["env", &format!("DISPLAY={DISPLAY}"), "xdotool"], args].concat())
    }

    /// Starts a reporter in alice's session.
    fn start_reporter(&self) -> Result<()> {
        let mut command = self.session_command("alice", &["surge", "session"])?;
        command.spawn().context("the reporter")?;
        Ok(())
    }

    fn in_session(&self, args: &[&str]) -> Result<Told> {
        Told::of(&mut self.session_command("alice", args)?)
    }

    fn in_session_as(&self, user: &str, args: &[&str]) -> Result<Told> {
        Told::of(&mut self.session_command(user, args)?)
    }

    /// A command in alice's session: in its control group, as a terminal of its desktop would start it.
    fn session_command(&self, user: &str, args: &[&str]) -> Result<Command> {
        let desktop = self.machine.run(&["pgrep", "-u", "alice", "-x", "Xvfb"])?;
        let group = self.machine.run(&["cat", &format!("/proc/{}/cgroup", desktop.trim())])?;
        let group = group.lines().find_map(|line| {
            line.split_once("1:name=systemd:")
                .or(line.split_once("0::"))
                .map(|(_, path)| path.to_owned())
                .filter(|path| path.contains("session-"))
        });
        let group = group.with_context(|| format!("the display is in no session: {desktop}"))?;
        let mut folders = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup"].map(|root| format!("{root}{group}")).into_iter();
        let folder = folders
            .find(|folder| self.machine.try_run(&["test", "-d", folder]).is_ok_and(|told| told.status == Some(0)));
        let folder = folder.context("the session's control group is not mounted")?;
        let enter = format!(
            "echo $$ > {folder}/cgroup.procs && exec setpriv --reuid {user} --regid {user} --init-groups env DISPLAY={DISPLAY} XDG_SESSION_TYPE=x11 \"$@\""
        );
        Ok(self.machine.command(&[&["sh", "-c", &enter, "sh"], args].concat()))
    }
}
