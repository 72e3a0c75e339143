//! How a secret is sealed: entropy under a random key, that key under what the owner and the operating system know.
//!
//! Pure: no files, no keychain, no clock. `seal` draws random numbers and nothing else.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use surge_protocol::Address;
use zeroize::Zeroizing;

use super::hexed;

pub(crate) const FORMAT: &str = "surge vault";
pub(crate) const VERSION: u32 = 1;

/// A 256-bit secret that is wiped on drop.
pub type Secret = Zeroizing<[u8; 32]>;

/// What a wallet is locked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// A secret in the operating system's keychain.
    #[serde(rename = "os")]
    Os,
    /// That secret and a passphrase, both needed.
    #[serde(rename = "os+pass")]
    OsAndPassphrase,
    /// A passphrase alone, where there is no usable keychain.
    #[serde(rename = "pass")]
    Passphrase,
}

impl Mode {
    #[must_use]
    pub fn uses_keychain(self) -> bool {
        self != Self::Passphrase
    }

    #[must_use]
    pub fn uses_passphrase(self) -> bool {
        self != Self::Os
    }
}

/// The work that guessing one passphrase takes: Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Cost {
    /// About half a second on an everyday PC.
    pub const DEFAULT: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 1 };

    /// A damaged or hostile file must not ask for more memory or time than an everyday PC has.
    fn is_bearable(self) -> bool {
        (8..=1 << 20).contains(&self.memory_kib) && (1..=16).contains(&self.passes) && (1..=4).contains(&self.lanes)
    }
}

/// What stands in the clear. All of it is authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) format: String,
    pub(crate) version: u32,
    pub(crate) address: Address,
    pub(crate) mode: Mode,
    /// Names the keychain entry. Random, so that no two vaults share one.
    #[serde(with = "hexed")]
    pub(crate) id: [u8; 16],
    #[serde(with = "hexed")]
    pub(crate) salt: [u8; 32],
    pub(crate) cost: Cost,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    pub(crate) header: Header,
    key: Wrapped,
    entropy: Wrapped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    #[serde(with = "hexed")]
    nonce: [u8; 24],
    #[serde(with = "hexed")]
    text: Vec<u8>,
}

/// What unlocks.
pub(crate) struct Factors<'a> {
    pub(crate) os: Option<&'a Secret>,
    pub(crate) passphrase: Option<&'a SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The factors do not unlock the key.
    WrongKey,
    /// The key fits, and the rest is damaged; or the parameters are absurd.
    Damaged,
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random source never fails on supported systems");
    bytes
}

pub(crate) fn seal(header: Header, factors: &Factors<'_>, entropy: &[u8]) -> Sealed {
    let data_key = Secret::new(random());
    let outer = wrapping_key(&header, factors).expect("the caller chose a bearable cost");
    let aad = header_bytes(&header);
    let key = wrap(&outer, &*data_key, &[b"key ", aad.as_slice()].concat());
    let entropy = wrap(&data_key, entropy, &[b"entropy ", aad.as_slice()].concat());
    Sealed { header, key, entropy }
}

pub(crate) fn open(sealed: &Sealed, factors: &Factors<'_>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let aad = header_bytes(&sealed.header);
    let outer = wrapping_key(&sealed.header, factors).ok_or(OpenError::Damaged)?;
    let data_key = unwrap(&outer, &sealed.key, &[b"key ", aad.as_slice()].concat()).ok_or(OpenError::WrongKey)?;
    let data_key = <[u8; 32]>::try_from(data_key.as_slice()).map(Secret::new).map_err(|_| OpenError::Damaged)?;
    unwrap(&data_key, &sealed.entropy, &[b"entropy ", aad.as_slice()].concat()).ok_or(OpenError::Damaged)
}

fn header_bytes(header: &Header) -> Vec<u8> {
    serde_json::to_vec(header).expect("a header has string keys only")
}

/// HKDF over the keychain's secret and the stretched passphrase. `None` when the cost is unbearable.
fn wrapping_key(header: &Header, factors: &Factors<'_>) -> Option<Secret> {
    let mut material = Zeroizing::new(Vec::with_capacity(64));
    if let Some(secret) = factors.os {
        material.extend_from_slice(&**secret);
    }
    if let Some(passphrase) = factors.passphrase {
        material.extend_from_slice(&*stretch(passphrase, &header.salt, header.cost)?);
    }
    let mut key = Secret::default();
    Hkdf::<Sha256>::new(Some(&header.salt), &material)
        .expand(b"surge vault wrapping key v1", &mut *key)
        .expect("32 bytes are within what HKDF gives");
    Some(key)
}

fn stretch(passphrase: &SecretString, salt: &[u8], cost: Cost) -> Option<Secret> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).ok().filter(|_| cost.is_bearable())?;
    let mut out = Secret::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, &mut *out)
        .ok()?;
    Some(out)
}

fn wrap(key: &Secret, secret: &[u8], aad: &[u8]) -> Wrapped {
    let nonce = random::<24>();
    let payload = Payload { msg: secret, aad };
    let text = XChaCha20Poly1305::new((&**key).into())
        .encrypt(XNonce::from_slice(&nonce), payload)
        .expect("a few bytes can be encrypted");
    Wrapped { nonce, text }
}

fn unwrap(key: &Secret, wrapped: &Wrapped, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let payload = Payload { msg: &wrapped.text, aad };
    let cipher = XChaCha20Poly1305::new((&**key).into());
    cipher.decrypt(XNonce::from_slice(&wrapped.nonce), payload).ok().map(Zeroizing::new)
}
