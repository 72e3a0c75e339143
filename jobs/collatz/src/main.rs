//! Finds the number below N with the longest Collatz chain (halve if even, else triple and add one, until 1).
//!
//! Standard input: N. Standard output: one line of JSON.
//!
//! It keeps what it has found in `/state/collatz`. A program that is killed is started again from its beginning, and
//! finds `/state` as it was when it last synced. It replaces its file as programs do that also run elsewhere: a new file,
//! synced, renamed over the old one, and the folder synced.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::ExitCode;

const STATE: &str = "/state";
const KEPT: &str = "/state/collatz";
const NEW: &str = "/state/collatz.new";
/// No chain that begins below leaves 64 bits: the highest is that of 8,528,817,511, which climbs to 18,144,594,937,356,598,024.
const MOST: u64 = 1 << 33;
/// Numbers between two syncs.
const STEP: u64 = 100_000;

/// All that a restarted program must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    below: u64,
    /// The first number that was not looked at yet.
    next: u64,
    best: u64,
    steps: u32,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("collatz: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read the input: {error}"))?;
    let below = text.trim().parse().ok().filter(|below| (2..=MOST).contains(below));
    let below = below.ok_or_else(|| format!("{:?} is not a number from 2 to {MOST}", text.trim()))?;
    let mut progress = kept(below).unwrap_or(Progress { below, next: 1, best: 1, steps: 0 });
    while progress.next < below {
        progress = advance(progress, (progress.next + STEP).min(below));
        keep(progress).map_err(|error| format!("cannot keep a checkpoint: {error}"))?;
    }
    let Progress { best, steps, .. } = progress;
    let line = format!("{{\"below\":{below},\"best\":{best},\"steps\":{steps}}}\n");
    std::io::stdout().write_all(line.as_bytes()).map_err(|error| format!("cannot write the result: {error}"))
}

/// Looks at the numbers before `end`.
fn advance(mut progress: Progress, end: u64) -> Progress {
    for n in progress.next..end {
        let steps = chain(n);
        if steps > progress.steps {
            (progress.best, progress.steps) = (n, steps);
        }
    }
    progress.next = end;
    progress
}

fn chain(mut n: u64) -> u32 {
    let mut steps = 0;
    while n != 1 {
        n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

/// What an earlier start of this same task has found.
fn kept(below: u64) -> Option<Progress> {
    let text = fs::read_to_string(KEPT).ok()?;
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    let mut word = || words.next()?.ok();
    let progress = Progress { below: word()?, next: word()?, best: word()?, steps: word()?.try_into().ok()? };
    (progress.below == below).then_some(progress)
}

fn keep(Progress { below, next, best, steps }: Progress) -> std::io::Result<()> {
    let mut file = File::create(NEW)?;
    file.write_all(format!("{below} {next} {best} {steps}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(NEW, KEPT)?;
    File::open(STATE)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_published_records() {
        for (below, best, steps) in [(10, 9, 19), (100, 97, 118), (1_000, 871, 178), (1_000_000, 837_799, 524)] {
            let found = advance(Progress { below, next: 1, best: 1, steps: 0 }, below);
            assert_eq!((found.best, found.steps), (best, steps));
        }
    }

    #[test]
    fn the_highest_chain_stays_within_64_bits() {
        let climb = std::iter::successors(Some(8_528_817_511_u128), |&n| match n {
            1 => None,
            _ if n % 2 == 0 => Some(n / 2),
            _ => Some(3 * n + 1),
        });
        let (highest, length) = climb.fold((0, 0_u32), |(highest, length), n| (highest.max(n), length + 1));
        assert_eq!(highest, 18_144_594_937_356_598_024);
        assert_eq!(chain(8_528_817_511), length - 1);
    }

    #[test]
    fn it_does_not_matter_where_it_was_interrupted() {
        let start = Progress { below: 5_000, next: 1, best: 1, steps: 0 };
        let whole = advance(start, 5_000);
        for at in [1, 2, 97, 871, 872, 4_999] {
            assert_eq!(advance(advance(start, at), 5_000), whole);
        }
    }
}
