//! Sequences in FASTA text.

use crate::matrix::{Matrix, Residue};

pub(crate) struct Sequence<'a> {
    /// The first word of the header.
    pub(crate) name: &'a str,
    pub(crate) residues: Vec<Residue>,
}

/// The sequences of `text`, in order.
pub(crate) fn parse<'a>(text: &'a str, matrix: &Matrix) -> Result<Vec<Sequence<'a>>, String> {
    let mut sequences: Vec<Sequence> = Vec::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if let Some(header) = line.strip_prefix('>') {
            let name = header.split_whitespace().next().unwrap_or_default();
            sequences.push(Sequence { name, residues: Vec::new() });
            continue;
        }
        let Some(sequence) = sequences.last_mut() else {
            return Err(format!("expected a FASTA header such as \">name\", found {line:?}"));
        };
        for letter in line.bytes() {
            let unknown = || format!("{} holds {:?}, which is no residue", sequence.name, letter as char);
            sequence.residues.push(matrix.residue(letter).ok_or_else(unknown)?);
        }
    }
    Ok(sequences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_residues_over_several_lines() {
        let matrix = Matrix::blosum62();
        let sequences = parse(">one first\nAR\nND\n\n>two\r\nWW\r\n", &matrix).unwrap();
        assert_eq!(sequences.iter().map(|s| (s.name, s.residues.len())).collect::<Vec<_>>(), [("one", 4), ("two", 2)]);
        assert!(parse("ARND\n", &matrix).is_err());
        assert!(parse(">x\nAR1D\n", &matrix).is_err());
    }
}
