//! Twelve words, and the key that they mean: BIP-39 English words, BIP-32 derivation at m/44'/60'/0'/0/0.
//!
//! It keeps the entropy, never the phrase: the phrase exists only while it is shown. No word list but the English one.

use std::fmt;

use bip39::{Language, Mnemonic};
use hmac::{Hmac, Mac};
use k256::elliptic_curve::PrimeField;
use k256::{FieldBytes, Scalar, SecretKey};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha512;
use surge_protocol::sign::Key;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bits of a new wallet: 128, which are twelve words.
const ENTROPY_BYTES: usize = 16;
/// m/44'/60'/0'/0/0: the first account of every Ethereum wallet.
const PATH: [u32; 5] = [44 | HARDENED, 60 | HARDENED, HARDENED, 0, 0];
const HARDENED: u32 = 1 << 31;

/// The secret of a wallet. `Debug` shows nothing of it; the memory is wiped on drop.
pub struct Words(Zeroizing<Vec<u8>>);

/// Why a text is not a wallet's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WordsError {
    #[error("a wallet has 12, 15, 18, 21 or 24 words, and these are {0}")]
    Count(usize),
    #[error("word {0} is not in the BIP-39 English list: check its spelling")]
    Unknown(usize),
    #[error("these words do not belong together: one of them is wrong or in the wrong place")]
    Checksum,
}

impl WordsError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Count(_) => "words_count",
            Self::Unknown(_) => "words_unknown",
            Self::Checksum => "words_checksum",
        }
    }
}

impl Words {
    /// New words from the system's random source.
    ///
    /// # Panics
    /// When the system has no random source: no wallet may be made then.
    #[must_use]
    pub fn random() -> Self {
        let mut entropy = Zeroizing::new(vec![0; ENTROPY_BYTES]);
        getrandom::fill(&mut entropy).expect("the system's random source never fails on supported systems");
        Self(entropy)
    }

    /// The words in `phrase`, separated by white space, in any case.
    ///
    /// # Errors
    /// See [`WordsError`]; positions count from 1.
    pub fn parse(phrase: &SecretString) -> Result<Self, WordsError> {
        let words = phrase.expose_secret().split_whitespace().map(str::to_lowercase);
        let plain = Zeroizing::new(words.collect::<Vec<_>>().join(" "));
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &plain).map_err(explain)?;
        Ok(Self(entropy_of(&mnemonic)))
    }

    pub(crate) fn from_entropy(entropy: &[u8]) -> Option<Self> {
        Mnemonic::from_entropy(entropy).ok().map(|mnemonic| Self(entropy_of(&mnemonic)))
    }

    pub(crate) fn entropy(&self) -> &[u8] {
        &self.0
    }

    fn mnemonic(&self) -> Mnemonic {
        Mnemonic::from_entropy(&self.0).expect("the length was checked when these words were made")
    }

    /// The words as they are written down. Show them to nobody but the owner.
    #[must_use]
    pub fn phrase(&self) -> SecretString {
        SecretString::from(self.mnemonic().to_string())
    }

    /// The key of the first account.
    #[must_use]
    pub fn key(&self) -> Key {
        let seed = Zeroizing::new(self.mnemonic().to_seed_normalized(""));
        Key::from_bytes(&derive(&*seed, &PATH)).expect("a derived scalar is a key")
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(secret)")
    }
}

/// Whether `word` is of the list that recovery words are taken from.
#[must_use]
pub fn is_recovery_word(word: &str) -> bool {
    Language::English.find_word(word).is_some()
}

fn explain(error: bip39::Error) -> WordsError {
    match error {
        bip39::Error::BadWordCount(count) => WordsError::Count(count),
        bip39::Error::UnknownWord(index) => WordsError::Unknown(index + 1),
        bip39::Error::BadEntropyBitCount(_) | bip39::Error::InvalidChecksum | bip39::Error::AmbiguousLanguages(_) => {
            WordsError::Checksum
        }
    }
}

fn entropy_of(mnemonic: &Mnemonic) -> Zeroizing<Vec<u8>> {
    let (array, length) = mnemonic.to_entropy_array();
    let array = Zeroizing::new(array);
    Zeroizing::new(array[..length].to_vec())
}

/// BIP-32 private derivation. A step whose scalar is zero or beyond the order (1 in 2^127) moves on to the next index,
/// as BIP-32 says.
fn derive(seed: &[u8], path: &[u32]) -> Zeroizing<[u8; 32]> {
    let (mut key, mut chain) = split(&digest(b"Bitcoin seed", &[seed]));
    for &index in path {
        (key, chain) = (index..).find_map(|index| child(&key, &chain, index)).expect("the next index is a key");
    }
    key
}

type Half = Zeroizing<[u8; 32]>;

fn child(key: &Half, chain: &Half, index: u32) -> Option<(Half, Half)> {
    let public = SecretKey::from_slice(&**key).ok()?.public_key();
    let hash = if index >= HARDENED {
        digest(&**chain, &[&[0], &**key, &index.to_be_bytes()])
    } else {
        digest(&**chain, &[&public.to_sec1_bytes(), &index.to_be_bytes()])
    };
    let (tweak, next_chain) = split(&hash);
    let scalar = |half: &Half| Option::<Scalar>::from(Scalar::from_repr(FieldBytes::from(**half)));
    let sum = scalar(&tweak)? + scalar(key)?;
    let next = Zeroizing::new(<[u8; 32]>::from(sum.to_repr()));
    SecretKey::from_slice(&*next).ok()?;
    Some((next, next_chain))
}

fn digest(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn split(hash: &[u8; 64]) -> (Half, Half) {
    let half = |bytes: &[u8]| Zeroizing::new(<[u8; 32]>::try_from(bytes).expect("half of 64 bytes is 32"));
    (half(&hash[..32]), half(&hash[32..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use surge_protocol::Address;

    fn parse(phrase: &str) -> Result<Words, WordsError> {
        Words::parse(&SecretString::from(phrase))
    }

    /// Accounts that every Ethereum wallet shows for these well-known phrases.
    #[test]
    fn words_mean_the_same_account_as_in_other_wallets() {
        for (phrase, address) in [
            (
                "test test test test test test test test test test test junk",
                "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            ),
            (
                "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
                "0x9858EfFD232B4033E47d90003D41EC34EcaEda94",
            ),
        ] {
            assert_eq!(parse(phrase).unwrap().key().address(), address.parse::<Address>().unwrap());
        }
    }

    /// Test vector 1 of BIP-32: m/0'/1/2'/2/1000000000.
    #[test]
    fn derivation_is_that_of_bip_32() {
        let seed = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
        let key = derive(&seed, &[HARDENED, 1, 2 | HARDENED, 2, 1_000_000_000]);
        assert_eq!(hex::encode(*key), "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8");
    }

    #[test]
    fn new_words_are_twelve_and_come_back_from_paper() {
        let words = Words::random();
        let phrase = words.phrase();
        assert_eq!(phrase.expose_secret().split(' ').count(), 12);
        let typed = SecretString::from(format!("  {} \n", phrase.expose_secret().to_uppercase()));
        assert_eq!(Words::parse(&typed).unwrap().key().address(), words.key().address());
        assert_ne!(Words::random().key().address(), words.key().address());
    }

    #[test]
    fn wrong_words_say_what_is_wrong() {
        assert_eq!(parse("test test").unwrap_err(), WordsError::Count(2));
        let misspelt = "test test test tset test test test test test test test junk";
        assert_eq!(parse(misspelt).unwrap_err(), WordsError::Unknown(4));
        let swapped = "junk test test test test test test test test test test test";
        assert_eq!(parse(swapped).unwrap_err(), WordsError::Checksum);
    }

    #[test]
    fn debug_output_holds_no_word() {
        assert_eq!(
            format!("{:?}", parse("test test test test test test test test test test test junk")),
            "Ok(Words(secret))"
        );
    }
}
