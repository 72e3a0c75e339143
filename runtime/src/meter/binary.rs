//! The few pieces of the binary format that are written anew; everything else is copied.

use wasmparser::{ExternalKind, RefType, ValType};

pub(super) fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

pub(super) fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == if byte & 0x40 == 0 { 0 } else { -1 } {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

pub(super) fn value_type(out: &mut Vec<u8>, ty: ValType) {
    out.push(match ty {
        ValType::I32 => 0x7f,
        ValType::I64 => 0x7e,
        ValType::F32 => 0x7d,
        ValType::F64 => 0x7c,
        ValType::V128 => 0x7b,
        ValType::Ref(ty) if ty == RefType::EXTERNREF => 0x6f,
        // The check lets no other through.
        ValType::Ref(_) => 0x70,
    });
}

pub(super) fn external_kind(kind: ExternalKind) -> u8 {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => 0,
        ExternalKind::Table => 1,
        ExternalKind::Memory => 2,
        ExternalKind::Global => 3,
        ExternalKind::Tag => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::BinaryReader;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, !(1 << shift)] {
                let mut out = Vec::new();
                unsigned(&mut out, value >> 1);
                signed(&mut out, value as i64);
                let mut reader = BinaryReader::new(&out, 0);
                assert_eq!(reader.read_var_u64().unwrap(), value >> 1);
                assert_eq!(reader.read_var_i64().unwrap(), value as i64);
                assert!(reader.eof());
            }
        }
    }
}
