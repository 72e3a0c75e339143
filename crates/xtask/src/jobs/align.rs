//! `align`: which protein a seed looks up in which slices of the database, and whether the scores are those of `ssearch36`.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::dice::Dice;
use super::folder;
use super::plan::Plan;

const TASKS: usize = 8;
/// The data set's name under `/data`, and its file.
const DATABASE: &str = "proteins.fasta";

/// What the checked-in files say.
#[derive(Debug)]
struct Known {
    /// Header lines and sequences as FASTA text.
    queries: Vec<String>,
    names: Vec<String>,
    /// The residues of each sequence of the database.
    lengths: Vec<usize>,
    /// By sequence, the score against each query.
    scores: Vec<Vec<u32>>,
}

/// What a seed picks.
#[derive(Debug)]
struct Choice {
    query: usize,
    /// First sequence and count of each task.
    slices: Vec<(usize, usize)>,
}

pub(super) fn plan(seed: u64) -> Result<Plan> {
    let known = Known::read()?;
    let choice = known.choose(seed);
    let query = &known.queries[choice.query];
    let input = |(first, count)| format!("slice {first} {count}\n{query}").into_bytes();
    Ok(Plan {
        job: "align",
        title: "Smith-Waterman search of a protein",
        price: "0.04",
        memory_mib: 64,
        inputs: choice.slices.into_iter().map(input).collect(),
        data: vec![(DATABASE, folder().join("align").join(DATABASE))],
    })
}

pub(super) fn check(seed: u64, outputs: &[Vec<u8>]) -> Result<String> {
    let known = Known::read()?;
    let choice = known.choose(seed);
    let mut best = (0, 0);
    for (i, (&(first, count), output)) in choice.slices.iter().zip(outputs).enumerate() {
        let text = std::str::from_utf8(output).with_context(|| format!("task {i}: the output is not text"))?;
        let rows: Vec<&str> = text.lines().collect();
        ensure!(rows.len() == count, "task {i} has {} scores for {count} sequences", rows.len());
        for (row, sequence) in rows.into_iter().zip((0..known.names.len()).cycle().skip(first)) {
            let score = known.scores[sequence][choice.query];
            let expected = format!("{}\t{score}", known.names[sequence]);
            ensure!(row == expected, "task {i}: {row:?}, expected {expected:?}");
            best = best.max((score, sequence));
        }
    }
    let (score, sequence) = best;
    let query = name(&known.queries[choice.query]);
    Ok(format!(
        "{} scores equal ssearch36's; {query} is nearest to {} ({score})",
        known.names.len(),
        known.names[sequence]
    ))
}

impl Known {
    fn read() -> Result<Self> {
        let read = |name: &str| {
            let path = folder().join("align").join(name);
            fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))
        };
        let database = read(DATABASE)?;
        let sequences = records(&database);
        let scores = read("expected.tsv")?;
        let rows = scores.lines().filter(|line| !line.starts_with('#')).skip(1);
        let row = |line: &str| line.split('\t').skip(1).map(str::parse).collect::<Result<Vec<u32>, _>>();
        Ok(Self {
            queries: records(&read("queries.fasta")?).into_iter().map(str::to_owned).collect(),
            lengths: sequences.iter().map(|record| residues(record)).collect(),
            names: sequences.iter().map(|record| name(record).to_owned()).collect(),
            scores: rows.map(row).collect::<Result<_, _>>().context("expected.tsv holds something that is no score")?,
        })
    }

    fn choose(&self, seed: u64) -> Choice {
        let mut dice = Dice::new("align", seed);
        let query = dice.below(self.queries.len());
        let (sequences, residues) = (self.lengths.len(), self.lengths.iter().sum::<usize>());
        // Equal work for each task, from anywhere in the database around to the same place.
        let start = dice.below(residues);
        let cut = |task: usize| self.sequence_at((start + residues * task / TASKS) % residues);
        let slice = |task| (cut(task), (cut(task + 1) + sequences - cut(task)) % sequences);
        Choice { query, slices: (0..TASKS).map(slice).collect() }
    }

    /// The sequence that holds the residue `at` of the database.
    fn sequence_at(&self, at: usize) -> usize {
        let ends = self.lengths.iter().scan(0, |sum, length| {
            *sum += length;
            Some(*sum)
        });
        ends.take_while(|&end| end <= at).count()
    }
}

/// The records of FASTA text, each from its `>` to its last newline.
fn records(text: &str) -> Vec<&str> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices("\n>").map(|(at, _)| at + 1)).collect();
    let ends = starts[1..].iter().copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &text[start..end]).collect()
}

/// The first word of a record's header.
fn name(record: &str) -> &str {
    record.trim_start_matches('>').split_whitespace().next().unwrap_or_default()
}

fn residues(record: &str) -> usize {
    record.lines().skip(1).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(seed: u64) -> Vec<Vec<u8>> {
        let known = Known::read().unwrap();
        let choice = known.choose(seed);
        let row = |i: usize| format!("{}\t{}\n", known.names[i], known.scores[i][choice.query]);
        let all = (0..known.names.len()).cycle();
        choice
            .slices
            .iter()
            .map(|&(first, count)| all.clone().skip(first).take(count).map(row).collect::<String>().into_bytes())
            .collect()
    }

    #[test]
    fn the_files_belong_together() {
        let known = Known::read().unwrap();
        assert!(known.names.len() >= 500);
        assert_eq!(known.names.len(), known.scores.len());
        assert!(known.scores.iter().all(|scores| scores.len() == known.queries.len()));
        let table = fs::read_to_string(folder().join("align/expected.tsv")).unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
        let accession = |name: &str| name.split('|').nth(1).unwrap().to_owned();
        let queries: Vec<String> = known.queries.iter().map(|query| accession(name(query))).collect();
        assert_eq!(rows[0].split('\t').skip(1).collect::<Vec<_>>(), queries);
        for (row, name) in rows[1..].iter().zip(&known.names) {
            assert_eq!(row.split('\t').next(), Some(accession(name).as_str()));
        }
    }

    #[test]
    fn slices_cover_the_database_once_and_are_of_a_size() {
        let known = Known::read().unwrap();
        for seed in 0..50 {
            let slices = known.choose(seed).slices;
            assert_eq!(slices.len(), TASKS);
            let all = known.lengths.len();
            for (i, (first, count)) in slices.iter().enumerate() {
                assert_eq!((first + count) % all, slices[(i + 1) % TASKS].0);
                let residues: usize = known.lengths.iter().cycle().skip(*first).take(*count).sum();
                assert!((80_000..92_000).contains(&residues), "{residues} residues");
            }
            assert_eq!(slices.iter().map(|(_, count)| count).sum::<usize>(), all);
        }
    }

    #[test]
    fn seeds_pick_every_query() {
        let known = Known::read().unwrap();
        let picked: std::collections::BTreeSet<_> = (0..100).map(|seed| known.choose(seed).query).collect();
        assert_eq!(picked.len(), known.queries.len());
    }

    #[test]
    fn the_reference_tools_scores_pass_and_others_fail() {
        assert!(check(7, &answers(7)).unwrap().contains("2244 scores equal"));
        let mut wrong = answers(7);
        let last = wrong[5].len() - 2;
        wrong[5][last] ^= 1;
        assert!(check(7, &wrong).unwrap_err().to_string().contains("task 5"));
        let mut short = answers(7);
        short[2].clear();
        assert!(check(7, &short).unwrap_err().to_string().contains("task 2"));
        assert!(check(8, &answers(7)).is_err());
    }
}
