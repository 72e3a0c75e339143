//! The thread that watches the home's files: settings, network, payout account, device key, certificates.
//!
//! It looks at them every two seconds, and at once when a shell asks. Its disk may hang: then it hangs, and nobody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use jiff::tz::TimeZone;
use surge_platform::lock::LockPath;
use surge_protocol::Address;
use surge_protocol::network::Network;
use tokio::sync::watch;

use super::inputs::{Accepted, Input, Inputs, Obstacle, Order};
use super::parts::Part;
use crate::config::{Config, read_network};
use crate::settings::{Machine, Settings, SettingsError, SettingsFile, Stamp, restart_needed};
use crate::setup::{Setup, SetupError};
use crate::view::{Reason, SettingView};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What work is to be done for, and why none can be.
#[derive(Debug, Clone, Default)]
pub(super) enum Target {
    /// The files have not been read yet.
    #[default]
    Unread,
    Missing(Arc<SetupError>),
    /// The home that this engine has locked is not at its path any more. It stays so.
    HomeGone,
    /// With the settings that hold from the start of its work on.
    Ready(Arc<Setup>, Arc<Settings>),
}

/// The files as shells see them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilesView {
    pub(crate) network: Option<Arc<Network>>,
    pub(crate) payout: Option<Address>,
    pub(crate) settings: Vec<SettingView>,
    /// What is wrong with them and does not stop the work.
    pub(crate) notice: Option<Reason>,
    pub(crate) max_workers: u32,
}

/// Where news of the files goes.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) inputs: Inputs,
    pub(super) target: watch::Sender<Target>,
    pub(super) view: watch::Sender<FilesView>,
}

/// The files as they were when they were read last.
#[derive(Debug)]
pub(super) struct Files {
    config: Config,
    lock: LockPath,
    machine: Machine,
    file: SettingsFile,
    settings: Settings,
    /// The settings that were valid first, which hold where a change waits for a restart.
    started: Option<Arc<Settings>>,
    invalid: Option<Arc<SetupError>>,
    stamps: Vec<Option<Stamp>>,
    zone: Option<TimeZone>,
    notice: Option<Reason>,
}

/// The settings that hold before the file has been read: the least that anybody could want.
pub(super) fn accepted(settings: &Settings, machine: &Machine) -> Accepted {
    Accepted {
        limits: settings.limits(machine),
        wanted: surge_platform::sensors::Wanted {
            source: settings.source(),
            idle_after: settings.idle_after(),
            excluded: settings.excluded_programs.clone(),
        },
        keep_awake_on_ac: settings.keep_awake_on_ac,
    }
}

impl Files {
    pub(super) fn new(config: Config, machine: Machine, lock: LockPath) -> Self {
        let file = SettingsFile::new(config.paths.settings(), config.overrides.clone());
        Self {
            config,
            lock,
            machine,
            file,
            settings: Settings::default(),
            started: None,
            invalid: None,
            stamps: Vec::new(),
            zone: None,
            notice: None,
        }
    }

    /// Looks until nobody can ask any more.
    /// A command that asks to look now is passed on to the decision loop when that is done.
    pub(super) fn run(mut self, part: &Part, asked: &Receiver<Order>, outputs: &Outputs) {
        loop {
            part.check();
            self.look(outputs);
            match asked.recv_timeout(LOOK_EVERY) {
                Ok(order) => {
                    // What stands still may have changed within the same tick of the disk's clock.
                    self.file.forget();
                    self.stamps.clear();
                    self.look(outputs);
                    outputs.inputs.send(Input::Order(order));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self, outputs: &Outputs) {
        if self.lock.is_lost() {
            // What is at its path is another engine's to read.
            outputs.target.send_replace(Target::HomeGone);
            return;
        }
        let zone = TimeZone::system();
        if self.zone.as_ref() != Some(&zone) {
            outputs.inputs.send(Input::Zone(zone.clone()));
            self.zone = Some(zone);
        }
        let settings_changed = self.read_settings(outputs);
        let stamps: Vec<_> = self.watched().iter().map(|path| Stamp::of(path)).collect();
        let ready = matches!(*outputs.target.borrow(), Target::Ready(..));
        // What is not in these files may have been mended as well: a program that was missing, for one.
        if stamps != self.stamps || settings_changed || !ready {
            self.stamps = stamps;
            self.read_setup(outputs);
        }
    }

    /// All files but the settings.
    fn watched(&self) -> Vec<PathBuf> {
        let paths = &self.config.paths;
        let files = [paths.network(), paths.payout(), paths.device_key()];
        files.into_iter().chain(self.settings.extra_ca(paths)).collect()
    }

    /// Takes over a changed settings file. An invalid one changes nothing, or where there was none before it, lets nothing
    /// run.
    fn read_settings(&mut self, outputs: &Outputs) -> bool {
        let Some(read) = self.file.look() else { return false };
        match read {
            Ok(read) => {
                let started = self.started.get_or_insert_with(|| Arc::new(read.clone()));
                self.notice = restart_needed(started, &read);
                self.invalid = None;
                self.settings = read;
            }
            Err(error) => self.reject(error),
        }
        match &self.notice {
            Some(notice) => tracing::warn!(said = notice.said, keys = notice.subject, "The settings were read"),
            None => tracing::info!("The settings were read"),
        }
        outputs.inputs.send(Input::Settings(Arc::new(accepted(&self.settings, &self.machine))));
        true
    }

    fn reject(&mut self, error: SettingsError) {
        let error = SetupError::from(error);
        if self.started.is_some() {
            self.notice = Some(error.reason());
        } else {
            self.invalid = Some(Arc::new(error));
        }
    }

    fn read_setup(&mut self, outputs: &Outputs) {
        let network = read_network(&self.config.paths.network()).ok().map(Arc::new);
        let target = match (&self.invalid, &self.started) {
            (None, Some(started)) => match Setup::read(&self.config.paths, &self.settings) {
                Ok(setup) => Target::Ready(Arc::new(setup), Arc::clone(started)),
                Err(error) => Target::Missing(Arc::new(error)),
            },
            (Some(invalid), _) => Target::Missing(Arc::clone(invalid)),
            (None, None) => Target::Unread,
        };
        let payout = match &target {
            Target::Ready(setup, _) => Some(setup.payout.payout),
            Target::Missing(_) | Target::Unread | Target::HomeGone => None,
        };
        let settings = self.file.layers(&self.settings);
        let max_workers = self.settings.max_workers(&self.machine);
        outputs.view.send_replace(FilesView { network, payout, settings, notice: self.notice.clone(), max_workers });
        let reason = match &target {
            Target::Missing(error) => Some(error.reason()),
            Target::Ready(..) | Target::Unread | Target::HomeGone => None,
        };
        outputs.inputs.send(Input::Obstacle(Obstacle::Setup, reason.clone()));
        outputs.target.send_if_modified(|before| {
            let same = match (&*before, &target) {
                (Target::Ready(before, _), Target::Ready(now, _)) => before.same(now),
                (Target::Missing(before), Target::Missing(_)) => Some(before.reason()) == reason,
                _ => false,
            };
            if !same {
                match &target {
                    Target::Missing(error) => tracing::warn!(code = error.code(), %error, "No work is possible"),
                    Target::Ready(setup, _) => tracing::info!(
                        network = %setup.network.name, node = %setup.device, payout = %setup.payout.payout, "Set up"
                    ),
                    Target::Unread | Target::HomeGone => {}
                }
                *before = target;
            }
            !same
        });
    }
}
