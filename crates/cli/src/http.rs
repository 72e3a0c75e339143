//! The HTTP client of this program's own calls, by the settings of its home.

use anyhow::Result;
use reqwest::Client;
use surge_contributor::settings::Settings;
use surge_platform::paths::Paths;

/// The client that trusts what the owner trusts.
pub(crate) fn client(paths: &Paths) -> Result<Client> {
    let settings = Settings::load(&paths.settings())?;
    Ok(surge_contributor::http::client(settings.extra_ca(paths).as_deref())?)
}
