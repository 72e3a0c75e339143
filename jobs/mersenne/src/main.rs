//! Tests Mersenne numbers 2^p − 1 for primality by Lucas–Lehmer. It does not look for factors first.
//!
//! Standard input: prime exponents separated by white space; `a-b` stands for every prime from a to b; `#` starts a comment.
//! Standard output: one JSON line an exponent, in the order asked for: the verdict and `res64`, the low 64 bits of the
//! last residue in hex (0 for a prime), by which two independent runs are compared.

mod field;
mod lucas_lehmer;
mod transform;

use std::io::{Read, Write};
use std::process::ExitCode;

use lucas_lehmer::MAX_EXPONENT;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mersenne: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| format!("cannot read the input: {error}"))?;
    for p in exponents(&text)? {
        eprintln!("testing 2^{p} - 1");
        let residue = lucas_lehmer::test(p);
        let line = format!("{{\"exponent\":{p},\"prime\":{},\"res64\":\"{:016x}\"}}\n", residue.prime, residue.low64);
        std::io::stdout().write_all(line.as_bytes()).map_err(|error| format!("cannot write the result: {error}"))?;
    }
    Ok(())
}

fn exponents(text: &str) -> Result<Vec<u64>, String> {
    let words = text.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    let mut all = Vec::new();
    for word in words {
        match word.split_once('-') {
            Some((from, to)) => all.extend((exponent(from)?..=exponent(to)?).filter(|&p| is_prime(p))),
            None => all.push(prime_exponent(word)?),
        }
    }
    if all.is_empty() { Err("the input names no exponent".to_owned()) } else { Ok(all) }
}

fn prime_exponent(word: &str) -> Result<u64, String> {
    let p = exponent(word)?;
    if is_prime(p) { Ok(p) } else { Err(format!("{p} is not prime, so neither is 2^{p} - 1: name a prime exponent")) }
}

fn exponent(word: &str) -> Result<u64, String> {
    let p = word
        .parse()
        .map_err(|_| format!("{word:?} is not an exponent: expected a number or a range such as 9600-9700"))?;
    if p <= MAX_EXPONENT {
        Ok(p)
    } else {
        Err(format!("{p} is above {MAX_EXPONENT}, the largest exponent that one task takes"))
    }
}

fn is_prime(p: u64) -> bool {
    p >= 2 && (2..).take_while(|d| d * d <= p).all(|d| p % d != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_ranges_and_comments() {
        assert_eq!(exponents("521 607 # two primes\n1270-1290\n"), Ok(vec![521, 607, 1277, 1279, 1283, 1289]));
    }

    #[test]
    fn refuses_what_it_cannot_test() {
        for text in ["", "# nothing", "520", "x", "-5", "10000019"] {
            assert!(exponents(text).is_err(), "{text:?}");
        }
    }
}
