//! What systemd makes of Surge, seen on a machine that boots it: units, users, restarts, upgrades, a session's reporter.
//!
//! Each row is one promise, tried on the real programs in a network of their own.

mod memory;
mod sessions;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::machine::{Machine, PROGRAMS, Told};
use crate::network::{Network, Person, program};
use crate::process::is_running;
use crate::second_build::{SecondBuild, class_of, version_of};

/// What a promise may take that says "within a second".
const SECOND: Duration = Duration::from_secs(1);
/// Seconds without input after which work starts.
const IDLE_AFTER: u64 = 3;
/// The display of the session on the machine.
const DISPLAY: &str = ":77";

/// What was found.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    /// What was seen, or what is wrong.
    pub found: Result<String, String>,
}

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// What takes seconds: users, a restart, a reporter.
    Short,
    Whole,
}

/// Tries all on a copy of the system in `root`. `say` hears each row as it is known.
///
/// # Errors
/// When the machine or the network does not come up.
pub fn run(root: &Path, length: Length, mut say: impl FnMut(&Row)) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let network = Network::start(folder.path());
    let requester = network.person("requester", 1_000);
    let _ = requester.answer(&["wallet", "deposit", "900"]);
    let machine = Machine::boot(root)?;
    let bed = Bed { machine, network, requester };
    bed.install()?;
    let mut rows = Vec::new();
    let mut row = |name, found: Result<String>| {
        let row = Row { name, found: found.map_err(|error| format!("{error:#}")) };
        say(&row);
        rows.push(row);
    };
    let set_up = bed.setting_up().context("an engine that is not set up goes on by itself when it is")?;
    row("a start that is not set up answers, and goes on by itself when it is", Ok(set_up));
    row("any user sees the state, and nothing that is not theirs", bed.looking());
    row("the group surge pauses, others are refused", bed.pausing());
    row("nobody else can write where the service lives", bed.places());
    bed.order()?;
    row("it works", bed.working());
    row("a killed engine comes back, and no worker outlives it", bed.engine_killed());
    if length == Length::Whole {
        row("a worker that the kernel kills for memory leaves the engine running", bed.out_of_memory());
        row("new programs under a running engine: work goes on, and a restart takes them", bed.upgrade());
        row("the engine of one user, by their own manager", bed.user_unit());
    }
    row("a session's reporter: idle is work, input stops it", bed.session());
    row("a reporter that is killed counts as use, and is told", bed.reporter_killed());
    row("a second reporter, a stranger's and one without a session are refused", bed.wrong_reporters());
    row("a stop gives the tasks back and ends in order", bed.stop());
    Ok(rows)
}

struct Bed {
    machine: Machine,
    network: Network,
    requester: Person,
}

impl Bed {
    /// What a package does, and people.
    fn install(&self) -> Result<()> {
        for command in [
            &["systemd-sysusers"][..],
            &["systemd-tmpfiles", "--create", "surge.conf"],
            &["systemctl", "daemon-reload"],
            &["systemctl", "preset", "surge.service"],
            &["systemctl", "--global", "preset", "surge.service", "surge-session.service"],
            &["useradd", "--create-home", "alice"],
            &["useradd", "--create-home", "--groups", "surge", "bob"],
            &["useradd", "--create-home", "carol"],
        ] {
            self.machine.run(command)?;
        }
        // The login that a display manager makes, without a display manager.
        let login = "auth required pam_permit.so\naccount required pam_permit.so\n\
            session required pam_systemd.so class=user type=x11\n";
        fs::write(self.machine.path("/etc/pam.d/surge-desktop"), login)?;
        let desktop = format!(
            "#!/bin/sh\nXvfb {DISPLAY} -screen 0 640x480x24 &\nuntil xdotool getmouselocation; do sleep 0.1; done\nexec sleep inf\n"
        );
        crate::executable::write(&self.machine.path("/usr/bin/desktop"), &desktop);
        Ok(())
    }

    fn setting_up(&self) -> Result<String> {
        let machine = &self.machine;
        ensure!(machine.try_run(&["systemctl", "is-enabled", "surge"])?.out.trim() == "disabled", "the preset");
        // The container has this machine's network, and with it the lock that keeps two engines of a machine apart.
        self.limits(&["share_machine=true"])?;
        machine.run(&["systemctl", "start", "surge"])?;
        self.held_by("not_set_up")?;
        let passphrase = "/var/lib/surge/passphrase";
        machine.run_as("surge", &["sh", "-c", &format!("umask 077; echo correct horse > {passphrase}")])?;
        for args in [&["attach", &self.network.url][..], &["wallet", "--passphrase-file", passphrase, "new"]] {
            machine.run_as("surge", &[&["surge", "--system"], args].concat())?;
        }
        let test_bed = ["gentle=false", "no_sensor_cpu_percent=100", "other_load_percent=100"];
        self.limits(&[&["presence=headless", "workers=1"], &test_bed[..]].concat())?;
        self.until("an engine that is set up", |state| {
            let needs = |reason: &Value| reason["code"] == "not_set_up";
            !state["reasons"].as_array().is_some_and(|reasons| reasons.iter().any(needs))
        })?;
        let status = machine.property("surge", "StatusText")?;
        ensure!(!status.is_empty(), "systemd shows no status");
        Ok(format!("set up while it ran; systemd shows “{status}”"))
    }

    fn looking(&self) -> Result<String> {
        let seen = self.machine.run_as("alice", &["surge", "status", "--json"])?;
        let seen: Value = serde_json::from_str(&seen)?;
        ensure!(seen["state"].is_string(), "{seen}");
        let text = Told::of(&mut self.machine.command_as("alice", &["surge", "why"]))?;
        ensure!(text.err.contains("whole computer"), "which engine it is: {text:?}");
        for refused in [&["timeline"][..], &["limits"], &["wallet", "address"], &["attach", "http://127.0.0.1:9"]] {
            let told = Told::of(&mut self.machine.command_as("alice", &[&["surge", "--system"], refused].concat()))?;
            ensure!(told.status != Some(0), "{refused:?}: {told:?}");
        }
        Ok(format!("state {}", seen["state"]))
    }

    fn pausing(&self) -> Result<String> {
        let told = Told::of(&mut self.machine.command_as("alice", &["surge", "pause"]))?;
        ensure!(told.status == Some(1) && told.err.contains("[not_allowed]"), "{told:?}");
        ensure!(told.err.contains("group surge"), "{told:?}");
        self.machine.run_as("bob", &["surge", "pause"])?;
        ensure!(self.state()?["state"] == "paused", "bob is in the group");
        self.machine.run_as("bob", &["surge", "resume"])?;
        ensure!(self.state()?["state"] != "paused", "and may resume");
        Ok(told.err.trim().to_owned())
    }

    fn places(&self) -> Result<String> {
        let open = ["-perm", "-o+w", "!", "-type", "s", "!", "-type", "l"];
        let found = self.machine.run(&[&["find", "/run/surge", "/var/lib/surge"], &open[..]].concat())?;
        ensure!(found.is_empty(), "everybody can write {found}");
        for place in ["/run/surge/x", "/var/lib/surge/x"] {
            let told = Told::of(&mut self.machine.command_as("bob", &["touch", place]))?;
            ensure!(told.status != Some(0), "{place} can be made");
        }
        let told = Told::of(&mut self.machine.command_as("bob", &["rm", "-f", "/run/surge/engine.sock"]))?;
        ensure!(told.status != Some(0), "the socket can be removed");
        let modes =
            self.machine.run(&["stat", "-c", "%U %a %n", "/run/surge", "/run/surge/engine.sock", "/var/lib/surge"])?;
        Ok(modes.lines().collect::<Vec<_>>().join(", "))
    }

    fn working(&self) -> Result<String> {
        let worker = self.worker()?;
        let status = fs::read_to_string(format!("/proc/{worker}/status"))?;
        let line =
            |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().replace('\t', " ");
        ensure!(
            line("Seccomp:").ends_with('2') && line("NoNewPrivs:").ends_with('1'),
            "it is not locked down: {status}"
        );
        Ok(format!("a locked-down worker; {}", line("Uid:")))
    }

    fn engine_killed(&self) -> Result<String> {
        let (worker, before) = (self.worker()?, self.machine.property("surge", "MainPID")?);
        let started = Instant::now();
        self.machine.run(&["kill", "-9", &before])?;
        self.machine.wait("the worker's end", || Ok((!is_running(worker)).then_some(())))?;
        let gone = started.elapsed();
        ensure!(gone < SECOND, "the worker went on for {gone:?}");
        self.machine.wait("another engine", || {
            let now = self.machine.property("surge", "MainPID")?;
            Ok((now != "0" && now != before).then_some(()))
        })?;
        let after = self.worker()?;
        ensure!(after != worker, "a new worker");
        Ok(format!(
            "its worker was gone after {} ms, the next one worked after {:.1} s",
            gone.as_millis(),
            started.elapsed().as_secs_f32()
        ))
    }

    fn upgrade(&self) -> Result<String> {
        let (worker, engine) = (self.worker()?, self.machine.property("surge", "MainPID")?);
        let told = |state: &Value| {
            let all = ["reasons", "notices"].into_iter().flat_map(|key| state[key].as_array().into_iter().flatten());
            all.into_iter().any(|it| it["code"] == "restart_needed" && it["case"] == "updated")
        };
        ensure!(!told(&self.state()?), "a restart is needed before anything is new");
        let build = SecondBuild::new()?;
        for name in PROGRAMS {
            self.machine.install_program(&build.program(name), name)?;
        }
        let running = || -> Result<String> {
            let pid = self.machine.property("surge", "MainPID")?;
            Ok(self.machine.run(&[&format!("/proc/{pid}/exe"), "--version"])?.trim().to_owned())
        };
        let (first, second) = (version_of(&program("surge"))?, version_of(&build.program("surge"))?);
        ensure!(self.worker()? == worker, "the running task was lost");
        // It is noticed when the engine starts another worker.
        let pid = i32::try_from(worker).ok().and_then(Pid::from_raw).context("a process")?;
        kill_process(pid, Signal::KILL)?;
        self.until("word that a restart is needed", told)?;
        let status = self.machine.run(&["surge", "--system", "status"])?;
        ensure!(status.contains("Surge was updated while it ran"), "people are not told: {status}");
        ensure!(self.machine.property("surge", "MainPID")? == engine && running()? == first, "the engine goes on");

        self.machine.run(&["systemctl", "restart", "surge"])?;
        let class = class_of(&build.program("surge-worker"))?;
        // The network still computes as the first build does, and names the worker that it hears of now.
        let refused = |state: &Value| state["reasons"][0]["said"].as_str().is_some_and(|said| said.contains(&class));
        self.until("the network's word on the new worker", refused)?;
        ensure!(running()? == second, "a restart takes the new program: {} runs", running()?);
        ensure!(!told(&self.state()?), "after the restart none is needed");

        // Back to what this network uses, for what follows.
        self.machine.install_program(&program("surge-worker"), "surge-worker")?;
        self.machine.run(&["systemctl", "restart", "surge"])?;
        self.worker()?;
        Ok(format!(
            "{first} and its worker went on, and told restart_needed at the next worker; a restart took {second}, {class}"
        ))
    }

    fn user_unit(&self) -> Result<String> {
        let machine = &self.machine;
        machine.run(&["loginctl", "enable-linger", "carol"])?;
        let uid = machine.run(&["id", "-u", "carol"])?;
        let runtime = format!("XDG_RUNTIME_DIR=/run/user/{}", uid.trim());
        let carol = |args: &[&str]| machine.run_as("carol", &[&["env", &runtime, "HOME=/home/carol"], args].concat());
        machine.wait("the user's manager", || {
            Ok(carol(&["systemctl", "--user", "is-system-running"])
                .ok()
                .or_else(|| carol(&["systemctl", "--user", "show", "--property=Version"]).ok())
                .map(drop))
        })?;
        let passphrase = "/home/carol/passphrase";
        carol(&["sh", "-c", &format!("umask 077; echo correct horse > {passphrase}")])?;
        carol(&["surge", "attach", &self.network.url])?;
        carol(&["surge", "wallet", "--passphrase-file", passphrase, "new"])?;
        carol(&["surge", "limits", "set", "presence=headless", "share_machine=true"])?;
        carol(&["systemctl", "--user", "start", "surge"])?;
        let own = machine.wait("an engine that is set up", || {
            let own: Value = serde_json::from_str(&carol(&["surge", "status", "--json"])?)?;
            Ok(own["networks"][0]["payout"].as_str().map(str::to_owned))
        })?;
        ensure!(self.state()?["networks"][0]["payout"] != own.as_str(), "it is the service's");
        let pid = carol(&["systemctl", "--user", "show", "--value", "--property=MainPID", "surge"])?;
        machine.run(&["kill", "-9", pid.trim()])?;
        machine.wait("another engine", || {
            let now = carol(&["systemctl", "--user", "show", "--value", "--property=MainPID", "surge"])?;
            Ok((now.trim() != "0" && now != pid).then_some(()))
        })?;
        machine.wait("its answer", || Ok(carol(&["surge", "status"]).ok()))?;
        let other =
            Told::of(&mut machine.command_as("bob", &["surge", "--home", "/home/carol/.local/share/surge", "status"]))?;
        ensure!(other.status != Some(0), "another user sees it: {other:?}");
        carol(&["systemctl", "--user", "stop", "surge"])?;
        Ok("started, killed, started again, stopped; nobody else sees it".into())
    }

    fn stop(&self) -> Result<String> {
        let worker = self.worker()?;
        let begun = Instant::now();
        self.machine.run(&["systemctl", "stop", "surge"])?;
        ensure!(!is_running(worker), "a worker is left");
        ensure!(self.machine.property("surge", "Result")? == "success", "the unit failed");
        ensure!(!self.machine.path("/run/surge").exists(), "the socket's folder is left");
        Ok(format!("{:.1} s", begun.elapsed().as_secs_f32()))
    }

    fn limits(&self, changes: &[&str]) -> Result<()> {
        self.machine.run_as("surge", &[&["surge", "--system", "limits", "set"], changes].concat()).map(drop)
    }

    fn state(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.machine.run(&["surge", "--system", "status", "--json"])?)?)
    }

    fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = self.machine.wait(what, || {
            // The engine may be on its way.
            last = self.state().unwrap_or_default();
            Ok(is(&last).then(|| last.clone()))
        });
        found.with_context(|| format!("last seen: {} {}", last["reasons"], last["workers"]))
    }

    fn held_by(&self, code: &str) -> Result<()> {
        self.until(code, |state| state["reasons"][0]["code"] == code).map(drop)
    }

    /// Orders work that outlasts all of this.
    fn order(&self) -> Result<()> {
        let module = self.requester.home.join("growing.wasm");
        fs::write(&module, growing())?;
        for n in 0..4 {
            let _ = self.requester.submit(&module, &[vec![n; 8]], 1);
        }
        Ok(())
    }

    /// A worker that computes, by its number outside.
    fn worker(&self) -> Result<u32> {
        let computing = |state: &Value| {
            let workers = state["workers"].as_array()?;
            let worker = workers.iter().find(|worker| worker["share"].as_f64() > Some(0.0))?;
            outside(worker["pid"].as_u64()?, "surge-worker")
        };
        let state = self.until("a worker that computes", |state| computing(state).is_some())?;
        computing(&state).context("it has just ended")
    }
}

/// A module that takes one MiB more with each second or so, for a quarter of an hour.
fn growing() -> Vec<u8> {
    let text = "(module (memory (export \"memory\") 16)
        (func (export \"_start\") (local $n i64) (local $at i32)
          (loop $more
            (local.set $n (i64.const 2000000000))
            (loop $step
              (local.set $n (i64.sub (local.get $n) (i64.const 1)))
              (br_if $step (i64.ne (local.get $n) (i64.const 0))))
            (local.set $at (i32.shl (memory.grow (i32.const 16)) (i32.const 16)))
            (memory.fill (local.get $at) (i32.const 1) (i32.const 1048576))
            (br_if $more (i32.lt_u (memory.size) (i32.const 14400))))))";
    wat::parse_str(text).expect("the text is WebAssembly")
}

/// The number outside of the process that is `inside` in the machine.
fn outside(inside: u64, name: &str) -> Option<u32> {
    let inside = inside.to_string();
    let all = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.into_iter().find(|pid: &u32| {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let numbers: Vec<_> = field("NSpid:").split_whitespace().collect();
        numbers.len() > 1 && numbers.last() == Some(&inside.as_str()) && field("Name:").trim() == name
    })
}
