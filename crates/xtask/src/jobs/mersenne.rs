//! `mersenne`: which exponents a seed mixes into the tasks, and whether the verdicts are those that the world knows.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::dice::Dice;
use super::plan::Plan;

/// The exponents of all Mersenne primes below 2^20 000 (OEIS A000043).
const PUBLISHED: [u64; 24] = [
    2, 3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279, 2203, 2281, 3217, 4253, 4423, 9689, 9941, 11213,
    19937,
];

const TASKS: usize = 20;
/// The published exponents that every plan holds.
const KNOWN: std::ops::RangeInclusive<u64> = 521..=11_213;
/// Where a plan takes the others from: long tests, and short ones to fill a task up.
const LONG: std::ops::Range<u64> = 9_000..13_000;
const SHORT: std::ops::Range<u64> = 1_300..6_900;
/// The least work of a task in units of [`work`]: 0.7 seconds of a server core of 2023 by itself, 1.1 beside a busy sibling.
const LEAST_WORK: u64 = 66_000_000;
/// A task that lacks this much takes a long test next.
const LONG_WORK: u64 = 40_000_000;
/// So many of the composite numbers' residues are computed again by long multiplication.
const RECOMPUTED: usize = 3;

/// One line of a task's output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    exponent: u64,
    prime: bool,
    res64: String,
}

pub(super) fn plan(seed: u64) -> Plan {
    let input = |(i, exponents): (usize, Vec<u64>)| {
        let lines: String = exponents.iter().map(|p| format!("{p}\n")).collect();
        format!("# Lucas-Lehmer tests, task {} of {TASKS}\n{lines}", i + 1).into_bytes()
    };
    Plan {
        job: "mersenne",
        title: "Mersenne primes: Lucas-Lehmer tests",
        price: "0.05",
        memory_mib: 64,
        inputs: exponents(seed).into_iter().enumerate().map(input).collect(),
        data: Vec::new(),
    }
}

pub(super) fn check(seed: u64, outputs: &[Vec<u8>]) -> Result<String> {
    let mut primes = BTreeSet::new();
    let mut composites = Vec::new();
    for (i, (asked, output)) in exponents(seed).iter().zip(outputs).enumerate() {
        for verdict in verdicts(asked, output).with_context(|| format!("task {i}"))? {
            let residue = u64::from_str_radix(&verdict.res64, 16).unwrap_or_default();
            ensure!(verdict.res64 == format!("{residue:016x}"), "{:?} is not 16 hex digits", verdict.res64);
            ensure!(
                verdict.prime == PUBLISHED.contains(&verdict.exponent),
                "2^{} - 1: the verdict is wrong",
                verdict.exponent
            );
            if verdict.prime {
                ensure!(residue == 0, "2^{} - 1 is prime, and its residue is not 0", verdict.exponent);
                primes.insert(verdict.exponent);
            } else {
                composites.push((verdict.exponent, residue));
            }
        }
    }
    composites.sort_unstable();
    for &(p, residue) in composites.iter().take(RECOMPUTED) {
        ensure!(residue == low64(p), "2^{p} - 1: the residue is wrong");
    }
    let tested = primes.len() + composites.len();
    let largest = primes.last().context("the plan holds published primes")?;
    Ok(format!("{tested} Mersenne numbers tested, {} prime as published, the largest 2^{largest} - 1", primes.len()))
}

/// The lines of one output, which must answer what was asked, in order.
fn verdicts(asked: &[u64], output: &[u8]) -> Result<Vec<Verdict>> {
    let text = std::str::from_utf8(output).context("the output is not text")?;
    let verdicts: Vec<Verdict> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let answered: Vec<u64> = verdicts.iter().map(|verdict| verdict.exponent).collect();
    ensure!(answered == asked, "asked for {asked:?}, answered {answered:?}");
    Ok(verdicts)
}

/// The exponents of each task: the known primes' among others, no exponent twice.
fn exponents(seed: u64) -> Vec<Vec<u64>> {
    let mut dice = Dice::new("mersenne", seed);
    let known: Vec<u64> = PUBLISHED.into_iter().filter(|p| KNOWN.contains(p)).collect();
    let mut taken: BTreeSet<u64> = known.iter().copied().collect();
    let mut tasks: Vec<Vec<u64>> = vec![Vec::new(); TASKS];
    for (task, p) in tasks.iter_mut().zip(known.into_iter().rev()) {
        task.push(p);
    }
    for task in &mut tasks {
        while let lacking @ 1.. = LEAST_WORK.saturating_sub(task.iter().copied().map(work).sum()) {
            let from = if lacking > LONG_WORK { LONG } else { SHORT };
            let p = from.start + dice.roll() % (from.end - from.start);
            if is_prime(p) && taken.insert(p) {
                task.push(p);
            }
        }
        dice.shuffle(task);
    }
    dice.shuffle(&mut tasks);
    tasks
}

/// The work of one test: p squarings of n digits by a transform. `n` is the program's choice of digits.
fn work(p: u64) -> u64 {
    let log = (2..27).find(|&log| log + 2 * p.div_ceil(1 << log) < 63).expect("exponents of a plan are small");
    p * (log << log)
}

fn is_prime(p: u64) -> bool {
    p >= 2 && (2..).take_while(|d| d * d <= p).all(|d| !p.is_multiple_of(d))
}

/// The low 64 bits of the last Lucas–Lehmer residue of an odd `p`, by long multiplication: slow, and nothing like the program.
fn low64(p: u64) -> u64 {
    let words = p.div_ceil(64) as usize;
    let mut s = vec![0; words];
    s[0] = 4;
    for _ in 0..p - 2 {
        s = minus_two(fold(&square(&s), p), p);
    }
    s[0]
}

fn square(s: &[u64]) -> Vec<u64> {
    let mut product = vec![0u64; 2 * s.len()];
    for (i, &a) in s.iter().enumerate() {
        let mut carry = 0u128;
        for (j, &b) in s.iter().enumerate() {
            carry += u128::from(a) * u128::from(b) + u128::from(product[i + j]);
            product[i + j] = carry as u64;
            carry >>= 64;
        }
        product[i + s.len()] = carry as u64;
    }
    product
}

/// Modulo 2^p − 1: the bits from p on are added to those below. Twice, for the carry.
fn fold(number: &[u64], p: u64) -> Vec<u64> {
    let (words, shift) = ((p / 64) as usize, p % 64);
    let word = |i: usize| number.get(i).copied().unwrap_or(0);
    let size = words + usize::from(shift > 0);
    let mut folded = Vec::with_capacity(size);
    let mut carry = 0u128;
    for i in 0..size {
        let low = if i == words { word(i) & ((1 << shift) - 1) } else { word(i) };
        let high = (u128::from(word(words + i)) | u128::from(word(words + i + 1)) << 64) >> shift;
        carry += u128::from(low) + u128::from(high as u64);
        folded.push(carry as u64);
        carry >>= 64;
    }
    let over = if shift > 0 { folded[words] >> shift } else { carry as u64 };
    if over == 0 { folded } else { fold(&folded, p) }
}

fn minus_two(mut s: Vec<u64>, p: u64) -> Vec<u64> {
    if s[0] < 2 && s[1..].iter().all(|&word| word == 0) {
        // 0 − 2 and 1 − 2 modulo 2^p − 1.
        let low = s[0];
        s.fill(u64::MAX);
        if let (Some(last), shift @ 1..) = (s.last_mut(), p % 64) {
            *last = (1 << shift) - 1;
        }
        s[0] -= 2 - low;
        return s;
    }
    let mut borrow = 2;
    for word in &mut s {
        let (difference, under) = word.overflowing_sub(borrow);
        (*word, borrow) = (difference, u64::from(under));
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    /// What an honest program would print for seed 7: true residues where the check looks, 5 elsewhere, since long
    /// multiplication is slow.
    static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
        let tasks = exponents(7);
        let mut composites: Vec<u64> = tasks.concat().into_iter().filter(|p| !PUBLISHED.contains(p)).collect();
        composites.sort_unstable();
        let line = |&p: &u64| {
            let res64 = match PUBLISHED.contains(&p) {
                true => 0,
                false if composites[..RECOMPUTED].contains(&p) => low64(p),
                false => 5,
            };
            format!("{{\"exponent\":{p},\"prime\":{},\"res64\":\"{res64:016x}\"}}\n", PUBLISHED.contains(&p))
        };
        tasks.iter().map(|task| task.iter().map(line).collect::<String>().into_bytes()).collect()
    });

    fn with(from: &str, to: &str) -> Vec<Vec<u8>> {
        GOOD.iter().map(|output| String::from_utf8_lossy(output).replace(from, to).into_bytes()).collect()
    }

    #[test]
    fn a_plan_holds_every_known_prime_and_enough_work() {
        let tasks = exponents(7);
        let all: Vec<u64> = tasks.concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "no exponent twice");
        assert!(all.iter().all(|&p| is_prime(p)));
        assert_eq!(all.iter().filter(|p| PUBLISHED.contains(p)).count(), 11);
        assert!(tasks.iter().all(|task| task.iter().copied().map(work).sum::<u64>() >= LEAST_WORK));
    }

    #[test]
    fn long_multiplication_agrees_with_the_published_verdicts_and_small_residues() {
        for p in [3, 5, 7, 13, 17, 31, 61, 89, 107, 127, 521, 607] {
            assert_eq!(low64(p), 0, "2^{p} - 1");
        }
        for p in [11u64, 23, 29, 37, 41, 43, 47, 53, 59] {
            let modulus = (1u128 << p) - 1;
            let expected = (0..p - 2).fold(4u128, |s, _| (s * s + modulus - 2) % modulus);
            assert_eq!(low64(p), expected as u64, "2^{p} - 1");
        }
    }

    #[test]
    fn the_published_verdicts_pass() {
        assert!(check(7, &GOOD).unwrap().contains("11 prime as published, the largest 2^11213 - 1"));
    }

    #[test]
    fn a_wrong_verdict_residue_or_answer_fails() {
        for (from, to, why) in [
            ("9689,\"prime\":true", "9689,\"prime\":false", "2^9689 - 1: the verdict is wrong"),
            ("4423,\"prime\":true,\"res64\":\"0", "4423,\"prime\":true,\"res64\":\"1", "its residue is not 0"),
            ("\"exponent\":2203", "\"exponent\":2205", "answered"),
            ("\"prime\":false", "\"prime\":true", "the verdict is wrong"),
            ("false,\"res64\":\"", "false,\"res64\":\"+", "16 hex digits"),
            ("\"res64\"", "\"res46\"", "res46"),
        ] {
            assert!(format!("{:#}", check(7, &with(from, to)).unwrap_err()).contains(why), "{from} -> {to}");
        }
    }
    #[test]
    fn a_wrong_residue_of_a_composite_number_fails() {
        let one = |line: &str| match line.split_once("false,") {
            Some((start, _)) => format!("{start}false,\"res64\":\"0000000000000001\"}}\n"),
            None => format!("{line}\n"),
        };
        let wrong =
            |output: &Vec<u8>| String::from_utf8_lossy(output).lines().map(one).collect::<String>().into_bytes();
        let outputs: Vec<_> = GOOD.iter().map(wrong).collect();
        assert!(check(7, &outputs).unwrap_err().to_string().contains("the residue is wrong"));
    }
}
