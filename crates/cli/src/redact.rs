//! Takes out of a text what says who somebody is, or could be a secret. A pure function; a report goes through it as a
//! whole, so that the same thing has the same name everywhere in it.
//!
//! It rather takes too much: what is taken leaves a placeholder such as `<address-2>`, and the owner sees the text
//! before anybody else. Deliberately absent: keeping a list of what was taken.

pub(crate) mod fields;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Range;

use surge_wallet::is_recovery_word;

/// What is known to be private here, beside what looks like it anywhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Private {
    /// Folders: their whole path is replaced.
    pub(crate) homes: Vec<String>,
    /// Words: the user's names, the computer's names, programs that the owner listed; each with its kind.
    pub(crate) words: Vec<(&'static str, String)>,
}

/// A text without it, and how much of each kind was taken out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redacted {
    pub(crate) text: String,
    /// Different things, by kind.
    pub(crate) replaced: BTreeMap<&'static str, usize>,
}

/// Words of the list of recovery words in a row that are no sentence any more. A phrase has twelve or more.
const PHRASE: usize = 8;
/// Words in a row, of the length that such words have, that might be a phrase in another language.
const FOREIGN_PHRASE: usize = 12;
/// The shortest hexadecimal number that could be a key, digits.
const HEX: usize = 32;
/// The same where it has letters too, or is marked by 0x.
const MIXED_HEX: usize = 20;
const MARKED_HEX: usize = 8;
/// The shortest word that could be a key in letters and digits.
const TOKEN: usize = 20;

#[derive(Debug)]
struct Found {
    at: Range<usize>,
    kind: &'static str,
    /// By which the same thing is known again.
    key: String,
}

/// Finds what is private in a text, in its order.
type Look<'a> = dyn Fn(&str) -> Vec<Found> + 'a;

/// A piece of the text: as it was, or a placeholder, in which nothing is looked for.
enum Piece {
    Plain(String),
    Placeholder(String),
}

pub(crate) fn redact(text: &str, private: &Private) -> Redacted {
    let homes = |text: &str| homes(text, &private.homes);
    let words = |text: &str| words(text, &private.words);
    // What holds others comes before them: a login before the host behind it, a number before words in it.
    let passes: [&Look<'_>; 10] =
        [&named, &phrases, &assigned, &urls, &emails, &homes, &users, &numbers, &tokens, &words];
    let mut names = Names::default();
    let mut pieces = vec![Piece::Plain(text.to_owned())];
    for pass in passes {
        pieces = pieces.into_iter().flat_map(|piece| split(piece, pass, &mut names)).collect();
    }
    let text = pieces.into_iter().map(|piece| match piece {
        Piece::Plain(text) | Piece::Placeholder(text) => text,
    });
    Redacted { text: text.collect(), replaced: names.counts() }
}

#[derive(Default)]
struct Names(BTreeMap<&'static str, Vec<String>>);

impl Names {
    fn of(&mut self, kind: &'static str, key: String) -> String {
        let known = self.0.entry(kind).or_default();
        let at = known.iter().position(|known| *known == key).unwrap_or_else(|| {
            known.push(key);
            known.len() - 1
        });
        format!("<{kind}-{}>", at + 1)
    }

    fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.0.iter().map(|(kind, known)| (*kind, known.len())).collect()
    }
}

fn split(piece: Piece, find: &Look<'_>, names: &mut Names) -> Vec<Piece> {
    let Piece::Plain(text) = piece else { return vec![piece] };
    let (mut pieces, mut done) = (Vec::new(), 0);
    for Found { at, kind, key } in find(&text) {
        if at.start < done {
            continue;
        }
        pieces.push(Piece::Plain(text[done..at.start].to_owned()));
        pieces.push(Piece::Placeholder(names.of(kind, key)));
        done = at.end;
    }
    pieces.push(Piece::Plain(text[done..].to_owned()));
    pieces
}

/// The longest stretches of characters that `belongs` says belong together.
fn runs(text: &str, belongs: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let (mut runs, mut start) = (Vec::new(), None);
    for (at, c) in text.char_indices() {
        match (belongs(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                runs.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|from| from..text.len()));
    runs
}

/// Values of log fields that hold what is private.
fn named(text: &str) -> Vec<Found> {
    let found = fields::values(text).into_iter();
    found.map(|value| Found { at: value.at, kind: value.kind, key: value.text.to_ascii_lowercase() }).collect()
}

/// Recovery phrases, whatever stands between their words: spaces, commas, numbers, line ends.
fn phrases(text: &str) -> Vec<Found> {
    let words = runs(text, |c| c.is_alphabetic());
    let phrase = |from: usize, to: usize| {
        let at = words[from].start..words[to - 1].end;
        let key = words[from..to].iter().map(|word| text[word.clone()].to_lowercase()).collect::<Vec<_>>().join(" ");
        Found { at, kind: "words", key }
    };
    let listed = |word: &str| is_recovery_word(&word.to_lowercase());
    let alike = |word: &str| (3..=8).contains(&word.chars().count()) && word.chars().all(char::is_lowercase);
    let near = |between: &str| between.chars().count() <= 6 && !between.contains([':', '_', '=', '/']);
    let mut found = stretches(text, &words, listed, near, PHRASE);
    found.extend(stretches(text, &words, alike, |between| matches!(between, " " | "\n"), FOREIGN_PHRASE));
    found.sort_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
    found.into_iter().map(|(from, to)| phrase(from, to)).collect()
}

/// Stretches of at least `least` words that are alike, with nothing but what `near` allows between them.
fn stretches(
    text: &str,
    words: &[Range<usize>],
    alike: impl Fn(&str) -> bool,
    near: impl Fn(&str) -> bool,
    least: usize,
) -> Vec<(usize, usize)> {
    let (mut found, mut from) = (Vec::new(), 0);
    for at in 0..=words.len() {
        let goes_on = at < words.len() && alike(&text[words[at].clone()]);
        let joined = goes_on && (at == from || near(&text[words[at - 1].end..words[at].start]));
        if joined {
            continue;
        }
        if at - from >= least {
            found.push((from, at));
        }
        from = if goes_on { at } else { at + 1 };
    }
    found
}

/// What is called a secret where it stands: `password = x`, `Authorization: Bearer x`.
fn assigned(text: &str) -> Vec<Found> {
    const NAMES: [&str; 8] =
        ["password", "passwd", "passphrase", "secret", "api_key", "api-key", "apikey", "authorization"];
    let lower = text.to_ascii_lowercase();
    let mut places: Vec<_> = NAMES.iter().flat_map(|name| lower.match_indices(name)).collect();
    places.sort_unstable();
    let (mut found, mut done) = (Vec::new(), 0);
    for (at, name) in places {
        if at < done {
            continue;
        }
        let behind = &text[at + name.len()..];
        let value = behind.trim_start_matches([' ', '"', '\'']);
        let Some(value) = value.strip_prefix(['=', ':']) else { continue };
        let quote = value.trim_start_matches([' ', '\t']).chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = value.trim_start_matches([' ', '\t', '"', '\'']);
        let value = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Basic ")).unwrap_or(value);
        let end = match quote {
            Some(quote) => value.find([quote, '\n']),
            None => value.find(|c: char| c.is_whitespace() || ",;)]}".contains(c)),
        };
        let begin = text.len() - value.len();
        let end = end.map_or(text.len(), |end| begin + end);
        done = end;
        // A path to a secret is none.
        if end > begin && !value.starts_with(['/', '<']) {
            found.push(Found { at: begin..end, kind: "secret", key: text[begin..end].to_owned() });
        }
    }
    found
}

/// Logins in URLs and what is asked for with them.
fn urls(text: &str) -> Vec<Found> {
    let (mut found, mut done) = (Vec::new(), 0);
    for (at, _) in text.match_indices("://") {
        let begin = at + 3;
        // One URL in another is a part of it.
        if begin < done {
            continue;
        }
        // A password may hold anything, so that its end is the last @ that there is, whatever ends a URL before it.
        let word = text[begin..].find(char::is_whitespace).map_or(text.len(), |n| begin + n);
        let login = text[begin..word].rfind('@').map(|n| begin + n);
        // A login that a blank broke in two: a port would be a number.
        let login = login.or_else(|| broken_login(&text[begin..word]).map(|length| begin + length));
        if let Some(login) = login {
            found.push(Found { at: begin..login, kind: "login", key: text[begin..login].to_owned() });
        }
        let host = login.map_or(begin, |login| if text[login..].starts_with('@') { login + 1 } else { login });
        let end = text[host..word].find(|c: char| "\"'<>`|".contains(c)).map_or(word, |n| host + n);
        done = end;
        if let Some(query) = text[host..end].find('?') {
            let at = host + query + 1..end;
            // A placeholder ends the URL, so that there is nothing behind the mark of a query that was taken.
            if !at.is_empty() {
                found.push(Found { key: text[at.clone()].to_owned(), at, kind: "query" });
            }
        }
    }
    found
}

/// The length of what stands for a host in a URL where that can be none: it has a colon and no port behind it.
fn broken_login(url: &str) -> Option<usize> {
    let length = url.find(['/', '?', '#', '"', '\'', '>', ')', ',', ';']).unwrap_or(url.len());
    let (host, port) = url[..length].rsplit_once(':')?;
    let number = port.trim_end_matches(['.', ':']).chars().all(|c| c.is_ascii_digit());
    (!host.is_empty() && !host.starts_with(['[', '<', '{']) && !number && !host.contains(':')).then_some(length)
}

fn emails(text: &str) -> Vec<Found> {
    let belongs = |c: char| c.is_alphanumeric() || "._%+-@".contains(c);
    let whole = |at: &Range<usize>| {
        let text = text[at.clone()].trim_matches('@');
        text.contains('@')
    };
    let found = runs(text, belongs).into_iter().filter(whole);
    found.map(|at| Found { key: text[at.clone()].to_lowercase(), at, kind: "email" }).collect()
}

/// The folders that are known to be somebody's.
fn homes(text: &str, homes: &[String]) -> Vec<Found> {
    let mut found = Vec::new();
    for home in homes.iter().filter(|home| home.len() > 1) {
        for (at, _) in text.match_indices(home.as_str()) {
            // The rest of another one's name would stay.
            if text[at + home.len()..].starts_with(char::is_alphanumeric) {
                continue;
            }
            found.push(Found { at: at..at + home.len(), kind: "home", key: home.clone() });
        }
    }
    // The longest that begins at a place is the one that is there.
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    found
}

/// Names of people in paths, as the systems lay them out.
fn users(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for folder in ["/home/", "/Users/", "\\Users\\", "/run/user/", "/var/lib/private/"] {
        for (at, _) in text.match_indices(folder) {
            let begin = at + folder.len();
            let end = begin + name(&text[begin..]);
            if end > begin {
                found.push(Found { at: begin..end, kind: "user", key: text[begin..end].to_owned() });
            }
        }
    }
    found.sort_by_key(|found| found.at.start);
    found
}

/// The length of the name of a folder that a path goes on with. It may have blanks where more of the path follows.
fn name(path: &str) -> usize {
    let ends = |c: char| "/\\\"'<>:;,|=".contains(c) || (c.is_whitespace() && c != ' ');
    let length = path.find(ends).unwrap_or(path.len());
    let goes_on = path[length..].starts_with(['/', '\\']) && !path[..length].ends_with(' ');
    if goes_on { length } else { path.find(|c: char| c == ' ' || ends(c)).unwrap_or(path.len()) }
}

/// Addresses, keys and digests in hexadecimal, addresses of computers.
fn numbers(text: &str) -> Vec<Found> {
    let hex = |c: char| c.is_ascii_hexdigit();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("0x").chain(text.match_indices("0X")) {
        let digits = text[at + 2..].find(|c| !hex(c)).unwrap_or(text.len() - at - 2);
        if digits >= MARKED_HEX {
            let kind = if digits == 40 { "address" } else { "hex" };
            let at = at..at + 2 + digits;
            found.push(Found { key: text[at.start + 2..at.end].to_lowercase(), at, kind });
        }
    }
    for at in runs(text, |c| hex(c) || c == '-') {
        let digits: String = text[at.clone()].chars().filter(|c| *c != '-').collect();
        let mixed = digits.contains(|c: char| c.is_ascii_alphabetic()) && digits.contains(|c: char| c.is_ascii_digit());
        if digits.len() >= HEX || (mixed && digits.len() >= MIXED_HEX) {
            let kind = if digits.len() == 40 { "address" } else { "hex" };
            found.push(Found { at, kind, key: digits.to_lowercase() });
        }
    }
    found.extend(runs(text, |c| c.is_ascii_digit() || c == '.').into_iter().filter_map(|at| ip4(text, at)));
    found.extend(runs(text, |c| hex(c) || ":.".contains(c)).into_iter().filter_map(|at| ip6(text, at)));
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    found
}

fn ip4(text: &str, at: Range<usize>) -> Option<Found> {
    let run = text[at.clone()].trim_end_matches('.');
    let numbers: Vec<_> = run.split('.').collect();
    // A longer row of numbers may have an address anywhere in it.
    let address = numbers.windows(4).find_map(|four| four.join(".").parse::<Ipv4Addr>().ok())?;
    let kept = address.is_loopback() || address.is_unspecified();
    (!kept || numbers.len() > 4).then(|| Found { at: at.start..at.start + run.len(), kind: "ip", key: run.to_owned() })
}

/// IPv6 and hardware addresses: colons between hexadecimal digits, more than in a time of day.
fn ip6(text: &str, at: Range<usize>) -> Option<Found> {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let Range { mut start, mut end } = at;
    // Digits at an end may belong to a word before or behind it.
    if word(text[..start].chars().next_back()) {
        start += text[start..end].find(':')? + 1;
    }
    if word(text[end..].chars().next()) {
        end = start + text[start..end].rfind(':')?;
    }
    let run = &text[start..end];
    let digits = run.chars().filter(char::is_ascii_hexdigit).count();
    let colons = run.matches(':').count();
    let found = (run.contains("::") || colons >= 5) && digits > 0 && run != "::1";
    // The name of an interface behind it may be a hardware address.
    let zone = text[end..].strip_prefix('%').map_or(0, |zone| {
        1 + zone.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(zone.len())
    });
    found.then(|| Found { at: start..end + zone, kind: "ip", key: run.to_lowercase() })
}

/// Words of letters and digits that nobody would choose: keys of services.
fn tokens(text: &str) -> Vec<Found> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "_-+=".contains(c);
    let secret = |at: &Range<usize>| {
        let run = &text[at.clone()];
        let has = |kind: fn(&char) -> bool| run.chars().any(|c| kind(&c));
        let unbroken =
            run.split(['_', '-', '+', '=']).any(|part| part.len() >= 16 && part.contains(|c: char| c.is_ascii_digit()));
        let cases = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
        run.len() >= TOKEN && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic) && (cases || unbroken)
    };
    // Base64 has slashes too, but far fewer than a path.
    let base64 = |at: &Range<usize>| {
        let run = &text[at.clone()];
        let has = |kind: fn(&char) -> bool| run.chars().any(|c| kind(&c));
        let all = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
        run.len() >= HEX && all && run.matches('/').count() * 8 <= run.len()
    };
    let mut found = runs(text, |c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    found.retain(base64);
    found.extend(runs(text, belongs).into_iter().filter(secret));
    found.sort_by_key(|at| (at.start, std::cmp::Reverse(at.end)));
    found.into_iter().map(|at| Found { key: text[at.clone()].to_owned(), at, kind: "token" }).collect()
}

/// The words that are known, whole and in any case.
fn words(text: &str, words: &[(&'static str, String)]) -> Vec<Found> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (kind, word) in words.iter().filter(|(_, word)| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        for (at, _) in lower.match_indices(&word) {
            let end = at + word.len();
            let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            if !inside(lower[..at].chars().next_back()) && !inside(lower[end..].chars().next()) {
                found.push(Found { at: at..end, kind, key: word.clone() });
            }
        }
    }
    found.sort_by_key(|found| (found.at.start, std::cmp::Reverse(found.at.end)));
    found
}

#[cfg(test)]
mod tests;
