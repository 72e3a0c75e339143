//! Text consoles and remote logins: the access times of their terminals, which move when a program reads what was
//! typed.
//!
//! They have to be asked, and show input in steps of eight seconds; a look allows for it. What is typed to a program
//! that does not read is not seen.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::combine::Look;

/// The kernel moves a terminal's access time when these bits of the second differ, and no sooner: keystrokes must not
/// be timed by other users.
const STEP: u64 = 8;

/// The terminals of this machine.
#[derive(Debug)]
pub(super) struct Terminals {
    /// Where consoles and serial lines are: `/dev`.
    dev: PathBuf,
    /// Where terminals come and go with logins, and what their names begin with.
    logins: (PathBuf, &'static str),
    /// `/sys/class/tty`, which tells the console in front.
    sys: PathBuf,
    /// Serial lines where people log in. Others belong to devices that talk all day.
    serial: Vec<PathBuf>,
    seen: HashMap<PathBuf, SystemTime>,
    front: Option<String>,
    looked: Option<Instant>,
    input: Option<Instant>,
}

impl Terminals {
    /// The terminals below `dev`, of which those of logins are in `logins` and have a number behind this prefix.
    pub(super) fn new(dev: &Path, logins: (PathBuf, &'static str), sys: &Path) -> Self {
        let consoles = fs::read_to_string(sys.join("console/active")).unwrap_or_default();
        let serial = consoles.split_whitespace().filter(|name| !is_virtual(name)).map(|name| dev.join(name)).collect();
        Self {
            dev: dev.to_owned(),
            logins,
            sys: sys.to_owned(),
            serial,
            seen: HashMap::new(),
            front: None,
            looked: None,
            input: None,
        }
    }

    /// Looks at all of them.
    pub(super) fn look(&mut self, now: Instant) -> Look {
        let input = self.last_input(now, SystemTime::now());
        Look { at: now, input: input.map_err(|error| format!("the terminals can't be looked at: {error}")) }
    }

    /// Something was typed at one of them just now.
    #[cfg(target_os = "linux")]
    pub(super) fn typed(&mut self, now: Instant) -> Look {
        self.input = self.input.max(Some(now));
        Look { at: now, input: Ok(self.input) }
    }

    /// Those that the last look found.
    #[cfg(target_os = "linux")]
    pub(super) fn found(&self) -> impl Iterator<Item = &Path> {
        self.seen.keys().map(PathBuf::as_path)
    }

    /// The last input at any of them; `None` where there are none.
    fn last_input(&mut self, now: Instant, wall: SystemTime) -> io::Result<Option<Instant>> {
        let front = fs::read_to_string(self.sys.join("tty0/active")).ok().map(|name| name.trim().to_owned());
        let mut newest = None;
        let mut seen = HashMap::new();
        for path in self.paths(front.as_deref())? {
            let Some(time) = access_time(&path)? else { continue };
            if self.seen.get(&path) != Some(&time) {
                newest = newest.max(Some(time));
            }
            seen.insert(path, time);
        }
        let earliest = self.looked.replace(now);
        // Consoles are switched by a key.
        let switched = std::mem::replace(&mut self.front, front.clone()) != front && earliest.is_some();
        self.seen = seen;
        if let Some(newest) = newest {
            // The first look has nothing to compare with: input counts from it on, since the time of day may be wrong.
            self.input = self.input.max(Some(blind_until(newest, now, wall).max(earliest.unwrap_or(now))));
        }
        if switched {
            self.input = self.input.max(Some(now));
        }
        Ok(self.input)
    }

    fn paths(&self, front: Option<&str>) -> io::Result<Vec<PathBuf>> {
        let mut paths = self.serial.clone();
        // Only the console in front gets what the keyboard sends.
        paths.extend(front.filter(|name| is_virtual(name)).map(|name| self.dev.join(name)));
        let (folder, prefix) = &self.logins;
        let listed = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
            listed => listed?,
        };
        for entry in listed {
            let entry = entry?;
            if is_numbered(&entry.file_name().to_string_lossy(), prefix) {
                paths.push(entry.path());
            }
        }
        Ok(paths)
    }
}

/// A console of the machine's own keyboard, as opposed to a serial line.
fn is_virtual(name: &str) -> bool {
    is_numbered(name, "tty")
}

fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|number| !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()))
}

/// `None` where it is gone: a login that ended between the listing and now.
fn access_time(path: &Path) -> io::Result<Option<SystemTime>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(found) => {
            let seconds = u64::try_from(found.atime()).unwrap_or(0);
            Ok(Some(UNIX_EPOCH + Duration::from_secs(seconds)))
        }
    }
}

/// Up to when input would not have moved an access time of `accessed`. Often in the past, and up to eight seconds ahead.
fn blind_until(accessed: SystemTime, now: Instant, wall: SystemTime) -> Instant {
    let seconds = accessed.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let end = UNIX_EPOCH + Duration::from_secs((seconds / STEP + 1) * STEP);
    match end.duration_since(wall) {
        // More would be a clock that was set back.
        Ok(ahead) => now + ahead.min(Duration::from_secs(STEP)),
        Err(ago) => now.checked_sub(ago.duration()).unwrap_or(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 20_000 * 86_400;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(DAY + seconds)
    }

    #[test]
    fn input_is_possible_until_the_step_is_over() {
        let now = Instant::now() + Duration::from_secs(1000);
        // Typed at second 3, seen then; whatever is typed until second 8 moves nothing.
        assert_eq!(blind_until(at(3), now, at(4)), now + Duration::from_secs(4));
        assert_eq!(blind_until(at(0), now, at(0)), now + Duration::from_secs(8));
        assert_eq!(blind_until(at(7), now, at(8)), now);
        assert_eq!(blind_until(at(3), now, at(108)), now - Duration::from_secs(100));
    }

    #[test]
    fn a_clock_that_was_set_back_blinds_for_one_step_only() {
        let now = Instant::now();
        assert_eq!(blind_until(at(5000), now, at(0)), now + Duration::from_secs(STEP));
    }

    /// A machine with plain files for terminals, whose access times the tests set.
    struct Files(tempfile::TempDir);

    impl Files {
        fn new(terminals: &[(&str, u64)]) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            fs::create_dir(files.path("pts")).unwrap();
            fs::create_dir_all(files.path("sys/tty0")).unwrap();
            fs::create_dir(files.path("sys/console")).unwrap();
            for (name, accessed) in terminals {
                files.set(name, *accessed);
            }
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn set(&self, name: &str, accessed: u64) {
            let file = fs::File::create(self.path(name)).unwrap();
            file.set_times(fs::FileTimes::new().set_accessed(at(accessed))).unwrap();
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        fn terminals(&self) -> Terminals {
            Terminals::new(self.0.path(), (self.path("pts"), ""), &self.path("sys"))
        }
    }

    #[test]
    fn only_what_moved_since_the_last_look_is_believed() {
        let files = Files::new(&[("pts/0", 100), ("pts/1", 900), ("pts/ptmx", 5000)]);
        let mut terminals = files.terminals();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(terminals.last_input(start, at(1000)).unwrap(), Some(start), "what was before is not trusted");
        assert_eq!(terminals.last_input(after(50), at(1050)).unwrap(), Some(start));
        files.set("pts/0", 1052);
        assert_eq!(terminals.last_input(after(60), at(1060)).unwrap(), Some(after(56)), "the end of its step");
        // A clock that runs wild moves the input to the looks that it was between.
        files.set("pts/1", 7);
        assert_eq!(terminals.last_input(after(70), at(1070)).unwrap(), Some(after(60)));
        files.set("pts/1", 99_999);
        assert_eq!(terminals.last_input(after(80), at(1080)).unwrap(), Some(after(88)));
    }

    #[test]
    fn the_console_in_front_counts_and_switching_is_input() {
        let files = Files::new(&[("tty1", 10), ("tty2", 10), ("ttyS0", 10), ("ttyS1", 10)]);
        files.write("sys/console/active", "tty0 ttyS0\n");
        files.write("sys/tty0/active", "tty1\n");
        let mut terminals = files.terminals();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        terminals.last_input(start, at(1000)).unwrap();
        files.set("tty2", 1020);
        files.set("ttyS1", 1020);
        assert_eq!(terminals.last_input(after(50), at(1050)).unwrap(), Some(start), "behind, and a device");
        files.set("ttyS0", 1048);
        assert_eq!(terminals.last_input(after(60), at(1060)).unwrap(), Some(after(56)));
        files.set("tty1", 1064);
        assert_eq!(terminals.last_input(after(72), at(1072)).unwrap(), Some(after(72)));
        files.write("sys/tty0/active", "tty3\n");
        assert_eq!(terminals.last_input(after(100), at(1100)).unwrap(), Some(after(100)));
    }

    #[test]
    fn a_machine_without_terminals_has_no_input_there() {
        let mut terminals =
            Terminals::new(Path::new("/nonexistent"), ("/nonexistent".into(), ""), Path::new("/nonexistent"));
        assert_eq!(terminals.last_input(Instant::now(), at(0)).unwrap(), None);
        let files = Files::new(&[]);
        files.write("pts.txt", "");
        let mut terminals = Terminals::new(files.0.path(), (files.path("pts.txt"), ""), &files.path("sys"));
        assert!(terminals.last_input(Instant::now(), at(0)).is_err(), "a folder that can't be read is no answer");
    }
}
