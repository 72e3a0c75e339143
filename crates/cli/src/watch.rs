//! `surge status --watch`: the state whenever it changes, in place on a terminal, as blocks or JSON lines elsewhere.
//!
//! The engine tells; nothing is asked for again. Deliberately absent: starting over when the engine has gone. Who watches
//! wants to know that.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, poll};
use surge_client::view::Snapshot;
use surge_client::watch as ask;
use surge_contributor::unix_now;
use surge_platform::paths::Paths;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::say::{Reader, told};
use crate::{skew, state};

/// How often a countdown on a terminal moves.
const TICK: Duration = Duration::from_secs(1);

/// Tells until Ctrl-C, until nobody reads any more, or until the engine ends, which is an error.
pub(crate) async fn watch(paths: &Paths, json: bool) -> Result<ExitCode> {
    let mut end = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut gone = reader_gone();
    let mut engine = ask(paths).await?;
    if json {
        skew::tell(engine.hello(), json)?;
    }
    let mut page = Page::new(json, skew::sentence(engine.hello()));
    let mut tick = tokio::time::interval(TICK);
    let mut newest = None;
    loop {
        let reader = tokio::select! {
            biased;
            _ = end.recv() => break,
            _ = term.recv() => break,
            _ = &mut gone => break,
            snapshot = engine.next() => {
                let snapshot = snapshot?;
                let reader = page.show(&snapshot)?;
                newest = Some(snapshot);
                reader
            }
            _ = tick.tick(), if page.in_place => match &newest {
                Some(snapshot) => page.show(snapshot)?,
                None => Reader::There,
            },
        };
        if reader == Reader::Gone {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends when nobody can read standard output any more, even while there is nothing to write.
fn reader_gone() -> oneshot::Receiver<()> {
    let (tell, gone) = oneshot::channel();
    // It ends with the process.
    std::thread::spawn(move || {
        let out = io::stdout();
        let mut watched = [PollFd::new(&out, PollFlags::empty())];
        while matches!(poll(&mut watched, None), Ok(0) | Err(rustix::io::Errno::INTR)) {}
        let _ = tell.send(());
    });
    gone
}

/// Where the state is written to.
struct Page {
    json: bool,
    in_place: bool,
    /// What is said of the engine's version, if that is another one.
    skew: Option<String>,
    /// Lines that the state before took.
    drawn: usize,
    begun: bool,
}

impl Page {
    fn new(json: bool, skew: Option<String>) -> Self {
        Self { json, in_place: !json && io::stdout().is_terminal(), skew, drawn: 0, begun: false }
    }

    fn show(&mut self, snapshot: &Snapshot) -> Result<Reader> {
        if self.json {
            return told(&state::document(snapshot).to_string());
        }
        if self.in_place {
            return self.redraw(&self.lines(snapshot, unix_now()));
        }
        let between = if std::mem::replace(&mut self.begun, true) { "\n" } else { "" };
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        told(&format!("{between}{time}  {}", self.lines(snapshot, snapshot.at).join("\n")))
    }

    fn lines(&self, snapshot: &Snapshot, now: u64) -> Vec<String> {
        let mut lines = state::lines(snapshot, now);
        lines.extend(self.skew.clone());
        lines
    }

    fn redraw(&mut self, lines: &[String]) -> Result<Reader> {
        let (columns, rows) = size();
        let mut folded: Vec<_> = lines.iter().flat_map(|line| fold(line, columns)).collect();
        // What does not fit can't be drawn over.
        folded.truncate(rows.saturating_sub(1).max(1));
        let up = if self.drawn > 0 { format!("\x1b[{}F", self.drawn) } else { String::new() };
        self.drawn = folded.len();
        let reader = told(&format!("{up}\x1b[J{}", folded.join("\n")));
        io::stdout().flush()?;
        reader
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or((80, 24), |size| (size.ws_col.into(), size.ws_row.into()))
}

/// A line in pieces that fit, those after the first indented.
fn fold(line: &str, columns: usize) -> Vec<String> {
    const INDENT: usize = 10;
    let width = columns.max(2 * INDENT);
    let mut folded = Vec::new();
    let mut piece = String::new();
    for word in line.split(' ') {
        let room = piece.chars().count() + 1 + word.chars().count() <= width;
        if !piece.trim().is_empty() && !room {
            folded.push(std::mem::replace(&mut piece, " ".repeat(INDENT)));
            piece.push_str(word);
        } else {
            if !piece.is_empty() || line.starts_with(' ') {
                piece.push(' ');
            }
            piece.push_str(word);
        }
        // A word that is longer than a line is cut: the terminal would break it where nobody counts.
        while piece.chars().count() > width {
            let rest: String = piece.chars().skip(width).collect();
            folded.push(piece.chars().take(width).collect());
            piece = " ".repeat(INDENT) + &rest;
        }
    }
    folded.push(piece);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_between_words_and_words_only_where_they_must() {
        assert_eq!(fold("Why       a reason", 80), ["Why       a reason"]);
        assert_eq!(fold("Why       one two three four", 20), ["Why       one two", "          three four"]);
        let long = fold(&format!("Payout    {}", "x".repeat(42)), 24);
        assert!(long.iter().all(|piece| piece.chars().count() <= 24), "{long:?}");
        assert_eq!(long.concat().matches('x').count(), 42);
        assert_eq!(fold("", 20), [""]);
    }
}
