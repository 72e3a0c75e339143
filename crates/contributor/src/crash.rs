//! Keeps what is known of the last crash, for the owner and for `surge report`.
//!
//! Version, message, place and backtrace, bounded, in a file that only the owner can read. Deliberately absent: contents
//! of memory, and sending it anywhere.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::path::Path;

use jiff::Timestamp;
use surge_platform::paths::Paths;

use crate::files::write_atomic;

/// The most that a panic's message, and the whole file, may take, bytes.
const MESSAGE: usize = 4 << 10;
const FILE: usize = 64 << 10;

/// From now on a panic of any thread leaves its story in the home of `paths`, besides what it does anyway. `program` is
/// the program's name and build.
pub fn keep(paths: &Paths, program: String) {
    let file = paths.crash();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A disk that is full, or a folder that is gone: there is nobody left to tell.
        let _ = write_atomic(&file, story(&program, panic).as_bytes(), 0o600);
        before(panic);
    }));
}

/// What was kept of the last crash; `None` when there was none.
///
/// # Errors
/// When there is a file that can't be read.
pub fn last(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(cut(&String::from_utf8_lossy(&bytes), FILE).to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn story(program: &str, panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("no text");
    let text = format!(
        "time: {}\nprogram: {program}\nsystem: {} {}\nthread: {}\nplace: {place}\nmessage: {}\n{}\n",
        Timestamp::now(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        thread.name().unwrap_or("unnamed"),
        cut(message, MESSAGE),
        Backtrace::force_capture(),
    );
    cut(&text, FILE).to_owned()
}

/// The beginning of `text`, at most `most` bytes of it.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_on_any_thread_leaves_its_story_bounded_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths { home: folder.path().join("home") };
        assert_eq!(last(&paths.crash()).unwrap(), None);
        keep(&paths, "surge 1.2.3 (abc)".into());
        let long = "é".repeat(FILE);
        let ended = std::thread::Builder::new().name("worker 7".into()).spawn(move || panic!("it broke: {long}"));
        assert!(ended.unwrap().join().is_err());
        drop(std::panic::take_hook());
        let told = last(&paths.crash()).unwrap().unwrap();
        for part in ["program: surge 1.2.3 (abc)", "thread: worker 7", "crash.rs:", "message: it broke: éé"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(told.contains("crash::tests"), "a backtrace: {told}");
        assert!(told.len() <= FILE && told.matches('é').count() <= MESSAGE / 2);
        assert_eq!(std::fs::metadata(paths.crash()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
