//! Where money may be sent: a typed recipient that was checked, so that no unchecked text reaches a payment.
//!
//! It knows no names, no address book and no history.

use std::fmt;

use surge_protocol::Address;
use surge_protocol::network::Network;
use thiserror::Error;

/// An address that passed every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient(Address);

/// Why an address is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    #[error("an address is 0x and 40 hex digits; this is not one. Copy it again from where it was shown.")]
    Malformed,
    #[error(
        "the capitals of this address do not match its digits, so at least one character is wrong. \
         Copy it again from where it was shown."
    )]
    Checksum,
    #[error("this is the zero address: what is sent there is lost. Nothing was sent.")]
    Zero,
    #[error("this is the address of the network's token contract: what is sent there is lost. Nothing was sent.")]
    Token,
    #[error("this is the address of the network's settlement contract: what is sent there is lost. Nothing was sent.")]
    Settlement,
    #[error("this is the wallet's own address: the money is there already. Nothing was sent.")]
    Own,
}

impl AddressError {
    /// A stable word, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "address_malformed",
            Self::Checksum => "address_checksum",
            Self::Zero => "address_zero",
            Self::Token => "address_token",
            Self::Settlement => "address_settlement",
            Self::Own => "address_own",
        }
    }
}

/// An address as people type it: all lower case, or with the capitals of EIP-55, which then must match.
///
/// # Errors
/// `Malformed` or `Checksum`.
pub fn parse(text: &str) -> Result<Address, AddressError> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").ok_or(AddressError::Malformed)?;
    let address: Address = digits.parse().map_err(|_| AddressError::Malformed)?;
    let lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let matches = address.to_checksum(None) == text;
    if lower || matches { Ok(address) } else { Err(AddressError::Checksum) }
}

impl Recipient {
    /// Checks `text` as a recipient of `from`'s money on `network`.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str, from: Address, network: &Network) -> Result<Self, AddressError> {
        let address = parse(text)?;
        match address {
            address if address.is_zero() => Err(AddressError::Zero),
            address if address == network.token => Err(AddressError::Token),
            address if address == network.settlement => Err(AddressError::Settlement),
            address if address == from => Err(AddressError::Own),
            address => Ok(Self(address)),
        }
    }

    #[must_use]
    pub fn address(self) -> Address {
        self.0
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHECKSUMMED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    fn network() -> Network {
        Network {
            name: "test".into(),
            coordinators: vec![],
            chain_id: 1,
            rpc: vec![],
            token: Address::repeat_byte(0x70),
            settlement: Address::repeat_byte(0x5e),
            treasury: Address::repeat_byte(3),
            fee_bps: 0,
            coordinator_key: Address::repeat_byte(4),
        }
    }

    fn recipient(text: &str) -> Result<Recipient, AddressError> {
        Recipient::parse(text, Address::repeat_byte(0x0e), &network())
    }

    proptest! {
        #[test]
        fn both_written_forms_are_read_back(bytes in any::<[u8; 20]>()) {
            let address = Address::from(bytes);
            prop_assert_eq!(parse(&address.to_checksum(None)), Ok(address));
            prop_assert_eq!(parse(&format!("{address:#x}")), Ok(address));
        }

        #[test]
        fn a_changed_capital_is_noticed(at in 2usize..42) {
            let mut text = CHECKSUMMED.to_owned().into_bytes();
            prop_assume!(text[at].is_ascii_alphabetic());
            text[at] ^= 0x20;
            prop_assert_eq!(parse(std::str::from_utf8(&text).unwrap()), Err(AddressError::Checksum));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn an_address_with_a_wrong_digit_is_refused() {
        let wrong = CHECKSUMMED.replace("6053F", "6052F");
        assert_eq!(recipient(&wrong), Err(AddressError::Checksum));
        for text in ["", "0x", "vitalik.eth", &CHECKSUMMED[..41], &CHECKSUMMED[2..], &format!("{CHECKSUMMED}0")] {
            assert_eq!(recipient(text), Err(AddressError::Malformed), "{text:?}");
        }
        assert!(recipient(CHECKSUMMED).is_ok());
    }

    #[test]
    fn places_where_money_is_lost_are_refused() {
        let lower = |byte: u8| format!("{:#x}", Address::repeat_byte(byte));
        assert_eq!(recipient(&lower(0)), Err(AddressError::Zero));
        assert_eq!(recipient(&lower(0x70)), Err(AddressError::Token));
        assert_eq!(recipient(&lower(0x5e)), Err(AddressError::Settlement));
        assert_eq!(recipient(&lower(0x0e)), Err(AddressError::Own));
    }
}
