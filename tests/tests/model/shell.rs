//! What a shell does in the model. Another shell joins by these few functions.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::Value;
use surge_tests::home::signal;

/// What somebody who looks at a shell learns of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// It has shown nothing yet.
    Nothing,
    /// The engine's state: whether the owner paused it.
    Paused(bool),
    /// That none runs.
    NoEngine,
    /// It said that the engine ended, and left with the documented status.
    SaidNoEngineAndLeft,
}

/// Whether this state tells that the owner paused the engine, which may be held by something else as well.
pub(super) fn is_paused(state: &Value) -> bool {
    let mut reasons = state["reasons"].as_array().into_iter().flatten();
    state["state"] == "paused" || reasons.any(|reason| reason["code"] == "paused")
}

pub(super) trait Shell {
    fn shows(&mut self) -> Shown;

    /// Ends it without warning.
    fn crash(self: Box<Self>);

    /// Ends it as its user does.
    fn stop(self: Box<Self>);
}

/// `surge status --watch --json`.
pub(super) struct Watch {
    child: Child,
    /// The last line, parsed.
    last: Arc<Mutex<Option<Value>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let last = Arc::new(Mutex::new(None));
        let (lines, into) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&last));
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                *into.lock().unwrap() = Some(value);
            }
        });
        Self { child, last, reader }
    }
}

impl Shell for Watch {
    fn shows(&mut self) -> Shown {
        if self.child.try_wait().unwrap().is_some_and(|_| self.reader.is_finished()) {
            let code = self.child.wait().unwrap().code();
            let last = self.last.lock().unwrap();
            let said = last.as_ref().and_then(|last| last["error"]["code"].as_str());
            let right = code == Some(20) && matches!(said, Some("engine_stopped" | "engine_gone"));
            assert!(right, "it left with {code:?} after {last:?}");
            return Shown::SaidNoEngineAndLeft;
        }
        match &*self.last.lock().unwrap() {
            None => Shown::Nothing,
            Some(last) if last.get("error").is_some() => Shown::NoEngine,
            Some(last) => Shown::Paused(is_paused(last)),
        }
    }

    fn crash(mut self: Box<Self>) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn stop(mut self: Box<Self>) {
        signal(&self.child, Signal::INT);
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "Ctrl-C ends it well");
    }
}
