//! Money as an integer: base units of the network's token (18 decimals), never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Decimals of the reward token.
pub const DECIMALS: usize = 18;
/// Base units in one whole token.
pub const ONE: u128 = 10u128.pow(DECIMALS as u32);

/// A non-negative amount in base units (10⁻¹⁸ token). JSON carries it as a decimal string of base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u128);

/// Why a text is not an amount.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseAmountError {
    #[error("an amount is digits with at most one point, for example 12.5")]
    NotANumber,
    #[error("an amount has at most {DECIMALS} digits after the point")]
    TooFine,
    #[error("the amount is larger than any balance can be")]
    TooLarge,
}

impl Amount {
    pub const ZERO: Self = Self(0);

    /// Whole tokens, as a constructor for constants and tests.
    #[must_use]
    pub const fn tokens(n: u64) -> Self {
        Self(n as u128 * ONE)
    }

    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    #[must_use]
    pub fn checked_mul(self, times: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(times)).map(Self)
    }

    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Whole tokens with as many decimals as are needed, never rounded: `12.5`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / ONE, self.0 % ONE);
        if part == 0 {
            return f.pad(&whole.to_string());
        }
        let decimals = format!("{part:018}");
        f.pad(&format!("{whole}.{}", decimals.trim_end_matches('0')))
    }
}

/// Parses whole tokens with an optional fraction (`12.5`), the form that people type.
impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
            return Err(ParseAmountError::NotANumber);
        }
        if part.len() > DECIMALS {
            return Err(ParseAmountError::TooFine);
        }
        let parse = |s: &str| match s {
            "" => Ok(0),
            s => s.parse::<u128>().map_err(|_| ParseAmountError::TooLarge),
        };
        let fraction = parse(&format!("{part:0<DECIMALS$}"))?;
        parse(whole)?
            .checked_mul(ONE)
            .and_then(|base| base.checked_add(fraction))
            .map(Self)
            .ok_or(ParseAmountError::TooLarge)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| de::Error::custom("expected base units as a decimal string"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_shown_parses_back(base in any::<u128>()) {
            prop_assert_eq!(Amount(base).to_string().parse::<Amount>(), Ok(Amount(base)));
        }
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for text in ["", ".", "-1", "1e3", "1,5", " 1", "0x10"] {
            assert_eq!(text.parse::<Amount>(), Err(ParseAmountError::NotANumber), "{text:?}");
        }
        assert_eq!("0.0000000000000000001".parse::<Amount>(), Err(ParseAmountError::TooFine));
        assert_eq!("999999999999999999999999".parse::<Amount>(), Err(ParseAmountError::TooLarge));
    }

    #[test]
    fn shows_whole_tokens_and_needed_decimals() {
        assert_eq!(Amount::tokens(12).to_string(), "12");
        assert_eq!(Amount(ONE / 2).to_string(), "0.5");
        assert_eq!(Amount(1).to_string(), "0.000000000000000001");
    }
}
