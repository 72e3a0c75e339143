//! Keeps the story of this program's last crash beside the engine's log.

use std::backtrace::Backtrace;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use surge_platform::paths::Paths;

/// From now on a panic of any thread leaves its story in the home of `paths`, besides what it does anyway.
pub(crate) fn keep(paths: &Paths) {
    let file = paths.crash().with_file_name("desktop-crash.txt");
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let (at, program) = (jiff::Timestamp::now(), concat!("surge-desktop ", env!("CARGO_PKG_VERSION")));
        // Where that fails, there is nobody left to tell.
        let _ = write(&file, &format!("{at} {program}\n{panic}\n{}\n", Backtrace::force_capture()));
        before(panic);
    }));
}

/// Replaces the file by one that only its owner can read.
fn write(file: &Path, story: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    // The one of an earlier crash.
    let _ = fs::remove_file(file);
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(file)?.write_all(story.as_bytes())
}
