//! Fields of log lines whose values are private, by their names: `program="vlc"`.
//!
//! A value is quoted and escaped as Rust's `Debug` writes text, which is how the log writes it. Deliberately absent: any
//! sentence. What is private is never within one.

use std::ops::Range;

/// The fields, and the kind of what they hold.
const PRIVATE: [(&str, &str); 1] = [("program", "program")];

/// A value of such a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) kind: &'static str,
    /// Where it stands, between its quotes.
    pub(crate) at: Range<usize>,
    /// What it says, without the escapes.
    pub(crate) text: String,
}

/// All values of private fields in a text, in its order.
pub(crate) fn values(text: &str) -> Vec<Value> {
    let mut values: Vec<_> = PRIVATE.iter().flat_map(|(name, kind)| of(text, name, kind)).collect();
    values.sort_by_key(|value| value.at.start);
    values
}

fn of<'a>(text: &'a str, name: &'a str, kind: &'static str) -> impl Iterator<Item = Value> + 'a {
    text.match_indices(name).filter_map(move |(at, _)| {
        let within_a_word = text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let begin = at + name.len() + "=\"".len();
        if within_a_word || !text[at + name.len()..].starts_with("=\"") {
            return None;
        }
        let (length, said) = unescaped(&text[begin..]);
        (length > 0).then(|| Value { kind, at: begin..begin + length, text: said })
    })
}

/// The length of a quoted text up to its closing quote or the end of its line, and what it says.
fn unescaped(quoted: &str) -> (usize, String) {
    let mut said = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' | '\n' => return (at, said),
            '\\' => said.extend(escape(&mut chars)),
            c => said.push(c),
        }
    }
    (quoted.len(), said)
}

/// The character that is written behind a backslash; `None` where nothing that is known is.
fn escape(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    match chars.next()?.1 {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '0' => Some('\0'),
        'u' => {
            let (_, rest) = chars.as_str().split_once('{').filter(|(before, _)| before.is_empty())?;
            let (digits, _) = rest.split_once('}')?;
            chars.nth(digits.chars().count() + 1);
            u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
        }
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_is_known_by_its_whole_name() {
        let text =
            "INFO Work is held reasons=[Film] program=\"my \\\"game\\\"\" subprogram=\"x\" program=y program=\"\"";
        let said: Vec<_> = values(text).into_iter().map(|value| value.text).collect();
        assert_eq!(said, ["my \"game\""]);
        let [value] = &values("program=\"cut off\nnext")[..] else { panic!("one is there") };
        assert_eq!(value.text, "cut off", "a line that was cut ends its value");
    }

    proptest! {
        #[test]
        fn what_debug_has_written_is_read_again(name in any::<String>()) {
            prop_assume!(!name.is_empty());
            let text = format!("INFO held program={name:?} next=1");
            let values = values(&text);
            prop_assert_eq!(&values[0].text, &name);
            prop_assert!(text[values[0].at.end..].starts_with("\" next=1"));
        }

        #[test]
        fn any_text_can_be_read(text in "(program=\"|\\\\|u\\{|\\}|\"|\n|\\PC){0,30}") {
            let _ = values(&text);
        }
    }
}
