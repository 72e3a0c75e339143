//! Watches the engine's parts: when one ends or panics before it was told to, the engine has to end as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A part that is gone, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone(pub(super) &'static str);

/// Hands out a watch over each part.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    gone: UnboundedSender<Gone>,
    /// The engine ends: parts may, too.
    ending: Arc<AtomicBool>,
    #[cfg(test)]
    pub(super) faults: Arc<std::sync::Mutex<Faults>>,
}

/// What a test does to parts, by their names.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// It panics.
    pub(super) broken: Option<&'static str>,
    /// It hangs until the test has ended.
    pub(super) hung: Option<&'static str>,
}

impl Parts {
    pub(super) fn new() -> (Self, UnboundedReceiver<Gone>) {
        let (gone, ends) = unbounded_channel();
        let parts = Self {
            gone,
            ending: Arc::default(),
            #[cfg(test)]
            faults: Arc::default(),
        };
        (parts, ends)
    }

    /// To be held by the part with this name while it lives.
    pub(super) fn part(&self, name: &'static str) -> Part {
        Part { parts: self.clone(), name }
    }

    /// Runs a part on a thread of its own, with a stack that is enough for any of them.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        run: impl FnOnce(&Part) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let part = self.part(name);
        Builder::new().name(name.into()).spawn(move || {
            run(&part);
            part.may_end();
        })
    }

    /// From now on, parts may end.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    fn tell(&self, gone: Gone) {
        if !self.ending.load(Ordering::Relaxed) {
            // Who hears of it may have ended the engine already.
            let _ = self.gone.send(gone);
        }
    }

    /// From now on any panic in this process counts as the end of a part: a thread of the sensors, a task of the work loop.
    pub(super) fn watch_panics(&self) {
        let (parts, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            parts.tell(Gone("thread"));
        }));
    }
}

/// A part that lives.
#[derive(Debug)]
pub(crate) struct Part {
    parts: Parts,
    name: &'static str,
}

impl Part {
    /// Where a test may break it: once in each round of its loop.
    pub(crate) fn check(&self) {
        #[cfg(test)]
        {
            let is_broken = self.parts.faults.lock().unwrap().broken == Some(self.name);
            assert!(!is_broken, "a test breaks it");
            while self.parts.faults.lock().unwrap().hung == Some(self.name) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    }

    /// To be called at its end, so that one that should have gone on leaves its story.
    ///
    /// # Panics
    /// When the engine does not end.
    pub(crate) fn may_end(&self) {
        assert!(self.parts.ending.load(Ordering::Relaxed), "the part \"{}\" has ended by itself", self.name);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.parts.tell(Gone(self.name));
    }
}
