//! Programs that a test makes: a script, or a copy for a user who can't reach the original.
//!
//! They are written by another process. A descriptor of ours would live on for a moment in every process that another
//! test forks meanwhile, and what is open for writing can't be executed: "Text file busy". What was there before is removed
//! first, so that a link to a program of the system is replaced and not written through.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program that the system runs by its first line, and that everybody may run.
///
/// # Panics
/// When the folder can't be written.
pub fn write(path: &Path, text: &str) {
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "rm -f \"$0\" && cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    writer.stdin.take().expect("it is a pipe").write_all(text.as_bytes()).expect("the shell reads");
    assert!(writer.wait().expect("our own child").success(), "{} can't be written", path.display());
}

/// Copies a program to where everybody may run it.
///
/// # Panics
/// When the folder can't be written.
pub fn copy(from: &Path, to: &Path) {
    let script = "rm -f \"$1\" && cp \"$0\" \"$1\" && chmod 755 \"$1\"";
    let copied = Command::new("/bin/sh").args(["-c", script]).args([from, to]).status().expect("there is a shell");
    assert!(copied.success(), "{} can't be copied to {}", from.display(), to.display());
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn what_was_just_written_runs_while_other_threads_start_programs() {
        let folder = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert!(Command::new("/bin/true").status().unwrap().success());
                    }
                });
            }
            for n in 0..100 {
                let (script, program) = (folder.path().join(format!("{n}.sh")), folder.path().join(format!("{n}")));
                write(&script, "#!/bin/sh\nexit 7\n");
                copy(Path::new("/bin/true"), &program);
                let status = |path| Command::new(path).status().map(|status| status.code());
                let ran = (status(&script), status(&program));
                done.store(n == 99 || ran.0.is_err() || ran.1.is_err(), Ordering::Relaxed);
                assert_eq!((ran.0.unwrap(), ran.1.unwrap()), (Some(7), Some(0)));
            }
        });
    }
}
