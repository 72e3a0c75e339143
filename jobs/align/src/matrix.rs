//! The score of one residue against another: BLOSUM62.

const TABLE: &str = include_str!("blosum62.txt");

/// Residue letters that the matrix knows.
pub(crate) const LETTERS: usize = 24;

/// A residue's row in the matrix.
pub(crate) type Residue = u8;

pub(crate) struct Matrix {
    letters: Vec<u8>,
    scores: Vec<[i32; LETTERS]>,
}

impl Matrix {
    pub(crate) fn blosum62() -> Self {
        let mut lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let letters = lines.next().unwrap_or_default().bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let row = |line: &str| {
            let mut scores =
                line.split_whitespace().skip(1).map(|score| score.parse().expect("the table holds whole numbers"));
            std::array::from_fn(|_| scores.next().expect("each row of the table has 24 scores"))
        };
        Self { letters, scores: lines.map(row).collect() }
    }

    /// The residue that `letter` stands for, in either case; U (selenocysteine) scores as C, O (pyrrolysine) as K and J as L.
    pub(crate) fn residue(&self, letter: u8) -> Option<Residue> {
        let letter = match letter.to_ascii_uppercase() {
            b'U' => b'C',
            b'O' => b'K',
            b'J' => b'L',
            letter => letter,
        };
        self.letters.iter().position(|&known| known == letter).map(|at| at as Residue)
    }

    pub(crate) fn score(&self, a: Residue, b: Residue) -> i32 {
        self.scores[usize::from(a)][usize::from(b)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_symmetric_and_holds_the_published_scores() {
        let matrix = Matrix::blosum62();
        for a in 0..LETTERS as u8 {
            for b in 0..LETTERS as u8 {
                assert_eq!(matrix.score(a, b), matrix.score(b, a));
            }
        }
        let score = |a, b| matrix.score(matrix.residue(a).unwrap(), matrix.residue(b).unwrap());
        assert_eq!((score(b'W', b'w'), score(b'A', b'R'), score(b'I', b'V'), score(b'X', b'*')), (11, -1, 3, -4));
        assert_eq!(matrix.residue(b'7'), None);
    }
}
