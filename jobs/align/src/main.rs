//! Scores a protein against a slice of the database in `/data/proteins.fasta` by Smith–Waterman with BLOSUM62; a gap of n
//! residues costs 11 + n. It gives scores only, not alignments or statistics.
//!
//! Standard input: a line `slice FIRST COUNT` (sequences of the database, counted from 0; after the last comes the first),
//! then the query as FASTA.
//! Standard output: for each sequence of the slice, in the database's order, its name, a tab and its score.

mod align;
mod fasta;
mod matrix;

use std::io::{Read, Write};
use std::process::ExitCode;

use align::Query;
use fasta::Sequence;
use matrix::Matrix;

const DATABASE: &str = "/data/proteins.fasta";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("align: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).map_err(|error| format!("cannot read the input: {error}"))?;
    let database = std::fs::read_to_string(DATABASE).map_err(|error| format!("cannot read {DATABASE}: {error}"))?;
    let table = score_slice(&input, &database)?;
    std::io::stdout().write_all(table.as_bytes()).map_err(|error| format!("cannot write the result: {error}"))
}

fn score_slice(input: &str, database: &str) -> Result<String, String> {
    let matrix = Matrix::blosum62();
    let (slice, query) = input.split_once('\n').unwrap_or((input, ""));
    let database = fasta::parse(database, &matrix)?;
    let (first, count) = parse_slice(slice, database.len())?;
    let queries = fasta::parse(query, &matrix)?;
    let [Sequence { name, residues }] = &queries[..] else {
        return Err(format!("expected one query behind the slice, found {}", queries.len()));
    };
    eprintln!("{name}: {} residues against {count} sequences", residues.len());
    let query = Query::new(residues, &matrix);
    let row = |target: &Sequence| format!("{}\t{}\n", target.name, query.best_score(&target.residues));
    Ok(database.iter().cycle().skip(first).take(count).map(row).collect())
}

/// The first sequence and how many, of a database of `all`.
fn parse_slice(line: &str, all: usize) -> Result<(usize, usize), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["slice", first, count] = words[..] else {
        return Err(format!("expected \"slice FIRST COUNT\" as the first line, found {line:?}"));
    };
    let number = |word: &str| word.parse::<usize>().map_err(|_| format!("{word:?} is not a number of sequences"));
    let (first, count) = (number(first)?, number(count)?);
    if first < all && count <= all {
        return Ok((first, count));
    }
    Err(format!("{count} sequences from {first} on: the database has {all}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = ">a\nWWWW\n>b\nAAAA\n>c\nWWAA\n";

    #[test]
    fn scores_the_slice_and_nothing_else() {
        assert_eq!(score_slice("slice 1 2\n>q\nWW\n", DATABASE).as_deref(), Ok("b\t0\nc\t22\n"));
        assert_eq!(score_slice("slice 2 2\n>q\nWW\n", DATABASE).as_deref(), Ok("c\t22\na\t22\n"));
    }

    #[test]
    fn refuses_what_it_cannot_score() {
        for input in [
            "",
            "slice 0 4\n>q\nWW\n",
            "slice 3 1\n>q\nWW\n",
            "slice 0\n>q\nWW\n",
            "slice 0 1\n",
            "slice 0 1\n>q\nW\n>r\nW\n",
            "slice x 1\n>q\nW\n",
        ] {
            assert!(score_slice(input, DATABASE).is_err(), "{input:?}");
        }
    }
}
