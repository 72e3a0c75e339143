//! The one HTTP client of everything here: through the proxy that the system or the environment names, trusting the
//! system's certificates and those of the file that the owner adds. And what it means when it gets no answer.
//!
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count, and `SSL_CERT_FILE` and `SSL_CERT_DIR` in the place of
//! the system's certificates. Deliberately absent: proxies of a user's choice beside them, and switching checks off.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Certificate, Client, StatusCode};
use thiserror::Error;

use crate::files;

const CONNECT: Duration = Duration::from_secs(10);
/// The bundle of a whole system has about 200 KiB.
const LARGEST_CA: u64 = 4 << 20;
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

#[derive(Debug, Error)]
pub enum HttpError {
    #[error("extra_ca = {path:?}: the file {problem}; correct the setting or the file")]
    Ca { path: PathBuf, problem: String },
    #[error(
        "no certificate authority can be trusted: {0}; install the system's (`ca-certificates`), or see what \
         SSL_CERT_FILE and SSL_CERT_DIR name"
    )]
    Trust(String),
    /// Its value may hold a password, and is not told.
    #[error("the variable {0} names no proxy: write http://HOST:PORT, or take it away")]
    Proxy(String),
}

impl HttpError {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ca { .. } => "bad_extra_ca",
            Self::Trust(_) => "no_trust_store",
            Self::Proxy(_) => "bad_proxy",
        }
    }
}

/// A client that also trusts the certificates in the file `extra_ca`.
///
/// # Errors
/// When that file is not what it should be, a variable names no proxy, or the system has no certificates.
pub fn client(extra_ca: Option<&Path>) -> Result<Client, HttpError> {
    // They would be passed over, and requests go a way that nobody meant.
    if let Some(variable) =
        PROXIES.into_iter().find(|name| std::env::var(name).is_ok_and(|value| !names_a_host(&value)))
    {
        return Err(HttpError::Proxy(variable.to_owned()));
    }
    let builder = || Client::builder().connect_timeout(CONNECT);
    let plain = builder().build().map_err(|error| HttpError::Trust(innermost(&error)))?;
    let Some(path) = extra_ca else { return Ok(plain) };
    let wrong = |problem: String| HttpError::Ca { path: path.to_owned(), problem };
    let pem = files::read_bounded(path, LARGEST_CA).map_err(|error| wrong(error.problem.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem);
    let certificates =
        certificates.map_err(|error| wrong(format!("has a damaged certificate ({})", innermost(&error))))?;
    if certificates.is_empty() {
        return Err(wrong("holds no certificate (it must have -----BEGIN CERTIFICATE----- lines)".to_owned()));
    }
    let client = builder().tls_certs_merge(certificates).build();
    client.map_err(|error| wrong(format!("has a damaged certificate ({})", innermost(&error))))
}

fn names_a_host(proxy: &str) -> bool {
    let url = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
    proxy.is_empty() || reqwest::Url::parse(&url).is_ok_and(|url| url.has_host())
}

/// Why there was no answer, in a form that says who can mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// A stable word: `proxy_unreachable`, `proxy_refused`, `tls_untrusted`, `coordinator_unreachable`.
    pub code: &'static str,
    /// What happened, and what to do.
    pub message: String,
}

/// What it means that a request to `url` failed with `error`.
#[must_use]
pub fn silence(url: &str, error: &reqwest::Error) -> Silence {
    let reason = innermost(error);
    if let Some(trust) = certificate_problem(error) {
        return Silence {
            code: "tls_untrusted",
            message: format!(
                "{url} shows a certificate that this computer does not trust ({trust}): if a proxy looks into TLS here, \
                 name its authority's file by extra_ca in the settings; otherwise somebody may be in between"
            ),
        };
    }
    if error.is_decode() || error.is_body() {
        let message = format!("{url} answers, but not as a coordinator of this version does ({reason})");
        return Silence { code: "coordinator_unreachable", message };
    }
    // What the proxy answers to the wish for a tunnel comes as an error of the connection.
    let answered = chain(error).any(|text| text.contains("tunnel") && !text.contains("underlying connection"));
    match proxy_for(url).filter(|_| error.is_connect()) {
        Some(proxy) if answered => refused(&proxy, url, &reason),
        Some(proxy) => Silence {
            code: "proxy_unreachable",
            message: format!(
                "the proxy {proxy} does not answer ({reason}): see HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
            ),
        },
        None => Silence {
            code: "coordinator_unreachable",
            message: format!("{url} does not answer: is this computer online, and the coordinator running? ({reason})"),
        },
    }
}

/// What it means that the answer to a request to `url` has this status: whether a proxy gave it, and no coordinator.
#[must_use]
pub fn silence_of_status(url: &str, status: StatusCode) -> Option<Silence> {
    let proxy = proxy_for(url).filter(|_| status == StatusCode::PROXY_AUTHENTICATION_REQUIRED)?;
    Some(refused(&proxy, url, "it wants a login"))
}

fn refused(proxy: &str, url: &str, reason: &str) -> Silence {
    let message = format!(
        "the proxy {proxy} does not lead to {url} ({reason}): it must allow that host, or NO_PROXY must name it; a login \
         is named as in http://USER:PASSWORD@{proxy}"
    );
    Silence { code: "proxy_refused", message }
}

/// The proxy that requests to `url` go through, without the password that it may be named with.
#[must_use]
pub fn proxy_for(url: &str) -> Option<String> {
    let through = Matcher::from_system().intercept(&url.parse().ok()?)?;
    Some(through.uri().authority()?.as_str().rsplit('@').next()?.to_owned())
}

/// What is wrong with the certificate that the other side has shown.
fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(rustls::Error::InvalidCertificate(problem)) = inner.downcast_ref() {
            return Some(problem.to_string());
        }
        // What an I/O error carries is not its cause: its cause is that one's cause.
        let carried = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = carried.map(|error| error as &(dyn Error + 'static)).or_else(|| inner.source());
    }
    None
}

fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = String> + 'a {
    std::iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string)
}

fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().unwrap_or_else(|| error.to_string())
}
