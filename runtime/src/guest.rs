//! The program's memory as the host may touch it: every address and length is checked, and nothing is allocated by a
//! length that the program names, except for lists of at most [`BUFFERS`] buffers.
//!
//! A host call checks all that it was given before it does anything ([`Guest::check`], [`Guest::buffers`]), so that a call
//! which fails has changed nothing.
//!
//! Deliberately absent: what the bytes mean.

use crate::wasi::abi::Errno;

/// The most buffers in one scatter-gather list, as POSIX has it.
const BUFFERS: u32 = 1_024;

/// The linear memory during one host call.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    bytes: &'a mut [u8],
    /// Bytes that this call touched: what it is charged for where work is metered.
    touched: u64,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, touched: 0 }
    }

    pub(crate) const fn touched(&self) -> u64 {
        self.touched
    }

    pub(crate) fn slice(&mut self, at: u32, length: u32) -> Result<&[u8], Errno> {
        self.slice_mut(at, length).map(|bytes| &*bytes)
    }

    pub(crate) fn slice_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Errno> {
        let start = at as usize;
        let end = start.checked_add(length as usize).ok_or(Errno::Fault)?;
        let bytes = self.bytes.get_mut(start..end).ok_or(Errno::Fault)?;
        self.touched += u64::from(length);
        Ok(bytes)
    }

    /// A path or name: UTF-8 without NUL, of a length that is checked before it is copied.
    pub(crate) fn text(&mut self, at: u32, length: u32, most: u32) -> Result<String, Errno> {
        if length > most {
            return Err(Errno::NameTooLong);
        }
        let text = std::str::from_utf8(self.slice(at, length)?).map_err(|_| Errno::IllegalBytes)?;
        if text.contains('\0') {
            return Err(Errno::Invalid);
        }
        Ok(text.to_owned())
    }

    pub(crate) fn read<const N: usize>(&mut self, at: u32) -> Result<[u8; N], Errno> {
        let length = u32::try_from(N).map_err(|_| Errno::Fault)?;
        self.slice(at, length)?.try_into().map_err(|_| Errno::Fault)
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.slice_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    /// Checks that `length` bytes at `at` can be written later in this call. It is not work that is charged.
    pub(crate) fn check(&self, at: u32, length: u32) -> Result<(), Errno> {
        let end = u64::from(at) + u64::from(length);
        if end <= self.bytes.len() as u64 { Ok(()) } else { Err(Errno::Fault) }
    }

    /// The address of the `n`-th of an array of values of `size` bytes at `list`.
    pub(crate) fn element(list: u32, n: u32, size: u32) -> Result<u32, Errno> {
        n.checked_mul(size).and_then(|offset| list.checked_add(offset)).ok_or(Errno::Fault)
    }

    /// The buffers of a scatter-gather list, addresses and lengths, all of them inside the memory. Copied, as Linux does it:
    /// what is read into one of them can't change the list.
    ///
    /// A call says how many bytes it moved in 32 bits, so the list ends before a buffer with which that would not fit.
    pub(crate) fn buffers(&mut self, list: u32, count: u32) -> Result<Vec<(u32, u32)>, Errno> {
        if count > BUFFERS {
            return Err(Errno::Invalid);
        }
        let mut buffers = Vec::with_capacity(count as usize);
        let mut total = 0_u32;
        let mut fits = true;
        for n in 0..count {
            let [a, b, c, d, e, f, g, h] = self.read(Self::element(list, n, 8)?)?;
            let (at, length) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            self.check(at, length)?;
            match total.checked_add(length) {
                Some(sum) if fits => {
                    total = sum;
                    buffers.push((at, length));
                }
                _ => fits = false,
            }
        }
        Ok(buffers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_address_reaches_beyond_the_memory(at in any::<u32>(), length in any::<u32>(), size in 0usize..5_000) {
            let mut memory = vec![7; size];
            let inside = (u64::from(at) + u64::from(length)) <= size as u64;
            let mut guest = Guest::new(&mut memory);
            prop_assert_eq!(guest.slice(at, length).is_ok(), inside);
            prop_assert_eq!(guest.slice_mut(at, length).is_ok(), inside);
        }
    }

    #[test]
    fn texts_are_utf_8_without_nul_and_of_bounded_length() {
        let mut memory = *b"ab\0\xff";
        let mut guest = Guest::new(&mut memory);
        assert_eq!(guest.text(0, 2, 2).as_deref(), Ok("ab"));
        assert_eq!(guest.text(0, 3, 3), Err(Errno::Invalid));
        assert_eq!(guest.text(3, 1, 3), Err(Errno::IllegalBytes));
        assert_eq!(guest.text(0, 4, 3), Err(Errno::NameTooLong));
        assert_eq!(guest.text(0, u32::MAX, 3), Err(Errno::NameTooLong));
        assert_eq!(guest.text(3, 2, 3), Err(Errno::Fault));
    }
}
