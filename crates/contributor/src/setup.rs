//! What the home and this system say an engine works for: network, payout account, worker, the way out. Read as a whole.
//!
//! What is missing or wrong is a [`SetupError`] with a code for exit statuses and a [`Reason`] for shells.

use std::path::PathBuf;

use surge_platform::paths::Paths;
use surge_protocol::Address;
use surge_protocol::network::Network;
use surge_supervisor::find_worker;
use thiserror::Error;

use crate::config::{ConfigError, Payout, device_key, read_network, read_payout};
use crate::http::{self, HttpError};
use crate::settings::{Settings, SettingsError};
use crate::view::{Case, Reason, ReasonCode};

/// All that work needs of the home's files.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) network: Network,
    pub(crate) payout: Payout,
    /// The address of this device's key.
    pub(crate) device: Address,
    /// The `surge-worker` program.
    pub(crate) worker: PathBuf,
    /// Through the proxy and with the certificates of this system and of the settings.
    pub(crate) http: reqwest::Client,
}

/// Why no work is possible.
#[derive(Debug, Error)]
pub enum SetupError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the worker does not tell its runtime class")]
    Class(#[from] surge_supervisor::ClassError),
    #[error(transparent)]
    Supervisor(#[from] surge_supervisor::StartError),
}

impl SetupError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Http(error) => error.code(),
            Self::Settings(error) => error.code(),
            Self::Class(_) | Self::Supervisor(_) => "worker_unusable",
        }
    }

    /// The same for shells.
    pub(crate) fn reason(&self) -> Reason {
        let invalid = |path: &std::path::Path| Reason::new(ReasonCode::SetupInvalid).about(path.display().to_string());
        let broken = || Reason::new(ReasonCode::InstallationBroken);
        let reason = match self {
            Self::Config(ConfigError::NoNetwork) => return Reason::new(ReasonCode::NotSetUp).case(Case::NoNetwork),
            Self::Config(ConfigError::NoPayout) => return Reason::new(ReasonCode::NotSetUp).case(Case::NoPayout),
            Self::Config(
                ConfigError::Network { path, .. }
                | ConfigError::Payout { path, .. }
                | ConfigError::Malformed { path, .. }
                | ConfigError::DeviceKey { path }
                | ConfigError::Io { path, .. },
            )
            | Self::Http(HttpError::Ca { path, .. }) => invalid(path),
            Self::Config(ConfigError::File(error)) => invalid(&error.path),
            Self::Http(HttpError::Proxy(variable)) => Reason::new(ReasonCode::SetupInvalid).about(variable.as_str()),
            Self::Settings(_) => Reason::new(ReasonCode::SettingsInvalid),
            Self::Config(ConfigError::NoWorker(_))
            | Self::Http(HttpError::Trust(_))
            | Self::Class(_)
            | Self::Supervisor(_) => broken(),
        };
        reason.said(told(self))
    }
}

/// An error with its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl Setup {
    /// Reads all of it. Makes the device key where there is none.
    ///
    /// # Errors
    /// The first thing that is missing or wrong.
    pub(crate) fn read(paths: &Paths, settings: &Settings) -> Result<Self, SetupError> {
        let network = read_network(&paths.network())?;
        let device = device_key(&paths.device_key())?.address();
        let payout = read_payout(&paths.payout(), &network, device)?;
        let worker = find_worker().map_err(ConfigError::from)?;
        let http = http::client(settings.extra_ca(paths).as_deref())?;
        Ok(Self { network, payout, device, worker, http })
    }

    /// Whether work for `self` can go on as it is under `other`.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (&self.network, &self.payout, self.device, &self.worker)
            == (&other.network, &other.payout, other.device, &other.worker)
    }
}
