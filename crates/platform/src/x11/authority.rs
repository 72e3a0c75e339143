//! The secrets of X servers, as `xauth` keeps them (Xau(3)): one entry after the other, each a family and four texts,
//! all numbers in two bytes, the higher first.

use std::path::Path;

use x11rb::reexports::x11rb_protocol::xauth::Family;

const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// More than any file of secrets has, bytes.
const MOST: u64 = 1 << 20;

/// The name and the data of what a server asks for; `None` where the file has nothing for it.
pub(super) fn secret(file: &Path, family: Family, host: &[u8], display: u16) -> Option<(Vec<u8>, Vec<u8>)> {
    let metadata = std::fs::metadata(file).ok()?;
    // Opening a pipe would wait for somebody who writes to it.
    if !metadata.is_file() || metadata.len() > MOST {
        return None;
    }
    find(&std::fs::read(file).ok()?, family, host, display)
}

fn find(mut bytes: &[u8], family: Family, host: &[u8], display: u16) -> Option<(Vec<u8>, Vec<u8>)> {
    let display = display.to_string();
    while !bytes.is_empty() {
        let of = Family::from(number(&mut bytes)?);
        let (address, number, name, data) =
            (text(&mut bytes)?, text(&mut bytes)?, text(&mut bytes)?, text(&mut bytes)?);
        let here = of == Family::WILD || (of == family && address == host);
        let this = number.is_empty() || number == display.as_bytes();
        if here && this && name == COOKIE {
            return Some((name.to_vec(), data.to_vec()));
        }
    }
    None
}

fn number(bytes: &mut &[u8]) -> Option<u16> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*number))
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length.into())?;
    *bytes = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(family: u16, texts: [&[u8]; 4]) -> Vec<u8> {
        let mut bytes = family.to_be_bytes().to_vec();
        for text in texts {
            bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text);
        }
        bytes
    }

    fn of(bytes: &[u8], display: u16) -> Option<Vec<u8>> {
        find(bytes, Family::LOCAL, b"desk", display).map(|(_, data)| data)
    }

    #[test]
    fn the_secret_is_that_of_this_host_and_display() {
        let file = [
            entry(256, [b"elsewhere", b"0", COOKIE, b"a"]),
            entry(256, [b"desk", b"1", COOKIE, b"b"]),
            entry(256, [b"desk", b"0", b"XDM-AUTHORIZATION-1", b"c"]),
            entry(256, [b"desk", b"0", COOKIE, b"d"]),
            entry(65535, [b"", b"", COOKIE, b"e"]),
        ]
        .concat();
        assert_eq!([of(&file, 0), of(&file, 1), of(&file, 2)], [b"d", b"b", b"e"].map(|data| Some(data.to_vec())));
        assert_eq!(of(&[], 0), None);
    }

    #[test]
    fn a_pipe_is_no_file_of_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(secret(&pipe, Family::LOCAL, b"desk", 0), None);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = of(&bytes, 0);
        }
    }
}
