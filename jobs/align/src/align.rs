//! Local alignment by Smith and Waterman with affine gaps (Gotoh 1982): the exact best score, no heuristics.

use crate::matrix::{LETTERS, Matrix, Residue};

/// A gap of n residues costs `OPEN + n · EXTEND`.
const OPEN: i32 = 11;
const EXTEND: i32 = 1;

/// A query, made ready to be scored against many targets.
pub(crate) struct Query {
    /// For each residue of a target, its score against each residue of the query.
    profile: Vec<Vec<i32>>,
}

/// The column of the dynamic program at one residue of the query.
#[derive(Clone, Copy)]
struct Cell {
    /// The best score of an alignment that ends here.
    score: i32,
    /// The best score of one that ends here in a gap in the query.
    gap: i32,
}

impl Query {
    pub(crate) fn new(residues: &[Residue], matrix: &Matrix) -> Self {
        let row = |target| residues.iter().map(|&residue| matrix.score(residue, target)).collect();
        Self { profile: (0..LETTERS as Residue).map(row).collect() }
    }

    /// The score of the best local alignment with `target`, 0 if nothing aligns.
    pub(crate) fn best_score(&self, target: &[Residue]) -> i32 {
        let mut cells = vec![Cell { score: 0, gap: 0 }; self.profile[0].len()];
        target.iter().map(|&residue| extend(&mut cells, &self.profile[usize::from(residue)])).max().unwrap_or(0)
    }
}

/// Extends all alignments by one residue of the target; the best score that ends there. A gap's score below zero never
/// wins, so gaps may start at 0.
fn extend(cells: &mut [Cell], scores: &[i32]) -> i32 {
    let (mut best, mut diagonal, mut gap) = (0, 0, 0);
    for (cell, score) in cells.iter_mut().zip(scores) {
        let ending = (diagonal + score).max(0).max(cell.gap).max(gap);
        best = best.max(ending);
        let opened = ending - OPEN - EXTEND;
        diagonal = cell.score;
        gap = opened.max(gap - EXTEND);
        *cell = Cell { score: ending, gap: opened.max(cell.gap - EXTEND) };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(query: &str, target: &str) -> i32 {
        let matrix = Matrix::blosum62();
        let residues = |text: &str| text.bytes().map(|letter| matrix.residue(letter).unwrap()).collect::<Vec<_>>();
        Query::new(&residues(query), &matrix).best_score(&residues(target))
    }

    #[test]
    fn scores_matches_gaps_and_nothing() {
        assert_eq!(score("WWWW", "WWWW"), 44);
        assert_eq!(score("AAAA", "WWWW"), 0);
        assert_eq!(score("WWWW", ""), 0);
        // Eight matches of 11 less one gap of three: 11 + 3 · 1; the same when the gap is in the other sequence.
        assert_eq!(score("WWWWWWWW", "WWWWAAAWWWW"), 88 - 14);
        assert_eq!(score("WWWWAAAWWWW", "WWWWWWWW"), 88 - 14);
        // The best stretch alone, where a gap would cost more than it joins.
        assert_eq!(score("WCAAAAAAAAAAAAWC", "WCWC"), 20);
    }

    #[test]
    fn is_symmetric() {
        let (a, b) = ("MKVLAAGIVGLCAKWHHRNDE", "MKLAAGIGLCKWNHRDEMKV");
        assert_eq!(score(a, b), score(b, a));
    }
}
