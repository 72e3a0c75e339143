//! Files that are whole or as they were: the new contents are written aside, synced, and take the old ones' place by a
//! rename.
//!
//! What was there before keeps its rights, and a link keeps leading where it leads. Deliberately absent: keeping other hard
//! links to the old contents; they stay what they were.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Access, AtFlags, CWD, OFlags};
use rustix::process::{Pid, test_kill_process};

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// A place that a file will be written to. Whether it can be is known when this is made, before anything is changed.
#[derive(Debug)]
pub struct Destination(Place);

#[derive(Debug)]
enum Place {
    /// A regular file, or nothing yet.
    File {
        path: PathBuf,
        folder: PathBuf,
        /// Has no name yet, so that nothing is left of it if this process ends; `None` where the file system has no such files.
        unnamed: Option<File>,
        new: New,
    },
    /// A pipe or device: it is written to and not replaced.
    Stream(File),
}

/// What a file gets that replaces none.
#[derive(Debug, Clone, Copy)]
struct New {
    /// Its rights.
    mode: u32,
    /// User and group; `None` for those of this process.
    owner: Option<(u32, u32)>,
}

/// Replaces the file at `path` by `bytes`, whole and durably, and makes its folder where there is none. A new file has the
/// rights `mode`, and belongs to the folder's owner where root makes it: root may act for somebody whose engine must read it.
///
/// # Errors
/// The file system's; then everything is as it was.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut destination = Destination::prepare(path, mode)?;
    if let Place::File { folder, new, .. } = &mut destination.0
        && rustix::process::geteuid().is_root()
    {
        let found = fs::metadata(folder)?;
        new.owner = Some((found.uid(), found.gid()));
    }
    destination.write(bytes)
}

impl Destination {
    /// Checks that `path` can be written, and changes nothing yet. A new file will have the rights `mode`, less what the
    /// process's mask takes away.
    ///
    /// # Errors
    /// When it is a folder, can't be written by this user, or its folder can't.
    pub fn prepare(path: &Path, mode: u32) -> io::Result<Self> {
        let path = resolve(path)?;
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                return Ok(Self(Place::Stream(OpenOptions::new().write(true).open(&path)?)));
            }
            // A file that was protected against writing is not replaced, though its folder would let us.
            Ok(_) => rustix::fs::access(&path, Access::WRITE_OK)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let folder = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
            None => return Err(ErrorKind::InvalidFilename.into()),
        };
        if path.file_name().is_none() {
            return Err(ErrorKind::InvalidFilename.into());
        }
        if let Err(error) = rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK) {
            let error = io::Error::from(error);
            let what = format!("{} in the folder {}", plain(&error), folder.display());
            return Err(io::Error::new(error.kind(), what));
        }
        let unnamed = rustix::fs::open(&folder, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode.into());
        let new = New { mode, owner: None };
        Ok(Self(Place::File { path, folder, unnamed: unnamed.ok().map(File::from), new }))
    }

    /// Writes `bytes` there. Durable when this returns.
    ///
    /// # Errors
    /// The file system's; then what was there is there still.
    pub fn write(self, bytes: &[u8]) -> io::Result<()> {
        match self.0 {
            Place::Stream(mut file) => file.write_all(bytes),
            Place::File { path, folder, unnamed, new } => {
                remove_leftovers(&path, &folder);
                let aside = aside(&path);
                let written = match unnamed {
                    Some(file) => write_unnamed(file, &path, &aside, bytes, new),
                    None => write_named(&path, &aside, bytes, new),
                };
                let written =
                    written.and_then(|()| fs::rename(&aside, &path)).and_then(|()| File::open(&folder)?.sync_all());
                if written.is_err() {
                    // The first error is the one to tell.
                    let _ = fs::remove_file(&aside);
                }
                written
            }
        }
    }
}

/// An error without the number that the system has for it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}

fn write_unnamed(mut file: File, path: &Path, aside: &Path, bytes: &[u8], new: New) -> io::Result<()> {
    fill(&mut file, path, bytes, new)?;
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, unnamed, CWD, aside, AtFlags::SYMLINK_FOLLOW) {
        // Where there is no /proc, it can't get a name later.
        Err(rustix::io::Errno::NOENT) => write_named(path, aside, bytes, new),
        linked => Ok(linked?),
    }
}

fn write_named(path: &Path, aside: &Path, bytes: &[u8], new: New) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(new.mode).open(aside)?;
    fill(&mut file, path, bytes, new)
}

/// Writes the contents and gives them the owner and rights of what they will replace.
fn fill(file: &mut File, path: &Path, bytes: &[u8], new: New) -> io::Result<()> {
    file.write_all(bytes)?;
    let before = fs::metadata(path).ok();
    let now = file.metadata()?;
    let owner = before.as_ref().map(|before| (before.uid(), before.gid())).or(new.owner);
    if let Some((user, group)) = owner.filter(|owner| *owner != (now.uid(), now.gid())) {
        std::os::unix::fs::fchown(&*file, Some(user), Some(group))?;
    }
    if let Some(before) = before {
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
    }
    file.sync_all()
}

/// Where `path` leads through all its links, also where nothing is there yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new(".")).join(target);
            }
            _ => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// A name beside `path` that no other write uses: `.NAME.PID-NUMBER.part`.
fn aside(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let mut name = begin(path);
    name.push(format!("{}-{number}.part", std::process::id()));
    path.with_file_name(name)
}

/// How the names of parts of `path` begin.
fn begin(path: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name
}

/// Removes parts that writers of `path` left which were killed between two steps.
fn remove_leftovers(path: &Path, folder: &Path) {
    let begin = begin(path);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if writer(&entry.file_name(), &begin).is_some_and(|pid| !is_alive(pid)) {
            // One that can't be removed harms nobody.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The process that wrote the part `name` of a file whose parts' names begin so.
fn writer(name: &OsStr, begin: &OsStr) -> Option<Pid> {
    let rest = name.to_str()?.strip_prefix(begin.to_str()?)?.strip_suffix(".part")?;
    let (pid, _) = rest.split_once('-')?;
    Pid::from_raw(pid.parse().ok()?)
}

fn is_alive(pid: Pid) -> bool {
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn contents_change_and_rights_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_atomic(&path("deep/new"), b"1", 0o600).unwrap();
        assert_eq!((fs::read(path("deep/new")).unwrap().as_slice(), mode(&path("deep/new"))), (&b"1"[..], 0o600));

        fs::write(path("file"), "a longer text").unwrap();
        fs::set_permissions(path("file"), Permissions::from_mode(0o640)).unwrap();
        fs::create_dir(path("links")).unwrap();
        symlink("../file", path("links/one")).unwrap();
        symlink(path("links/one"), path("two")).unwrap();
        symlink("later", path("ahead")).unwrap();
        write_atomic(&path("two"), b"short", 0o600).unwrap();
        write_atomic(&path("ahead"), b"made", 0o600).unwrap();
        assert_eq!((fs::read(path("file")).unwrap().as_slice(), mode(&path("file"))), (&b"short"[..], 0o640));
        assert_eq!(fs::read_link(path("two")).unwrap(), path("links/one"));
        assert_eq!(fs::read(path("later")).unwrap(), b"made", "a link may lead to what is not there yet");
        symlink("round", path("round")).unwrap();
        assert!(write_atomic(&path("round"), b"", 0o600).is_err());
        assert_eq!(
            names(folder.path()),
            ["ahead", "deep", "file", "later", "links", "round", "two"],
            "nothing is left over"
        );
    }

    #[test]
    fn an_owner_is_kept_by_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        std::os::unix::fs::chown(&path, Some(12_345), Some(54_321)).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (12_345, 54_321));

        std::os::unix::fs::chown(folder.path(), Some(12_345), Some(54_321)).unwrap();
        write_atomic(&folder.path().join("new"), b"", 0o600).unwrap();
        let found = fs::metadata(folder.path().join("new")).unwrap();
        assert_eq!((found.uid(), found.gid()), (12_345, 54_321), "what root makes in somebody's home is that one's");
    }

    #[test]
    fn what_is_refused_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        assert_eq!(Destination::prepare(&path("folder"), 0o600).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(Destination::prepare(&path("no/such"), 0o600).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(path("kept"), "kept").unwrap();
        drop(Destination::prepare(&path("kept"), 0o600).unwrap());
        assert_eq!(fs::read(path("kept")).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["folder", "kept"]);
    }

    #[test]
    fn a_pipe_is_written_to_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &pipe, 0o600.into()).unwrap();
        let mut reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        write_atomic(&pipe, b"through", 0o600).unwrap();
        let mut read = [0; 7];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"through");
        assert_eq!(names(folder.path()), ["pipe"]);
    }

    #[test]
    fn parts_of_dead_writers_are_removed_and_those_of_living_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let (dead, alive) = (format!(".file.{}-3.part", dead.id()), format!(".file.{}-900.part", std::process::id()));
        for name in [&dead, &alive, ".other.1-1.part", ".file.part"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        write_atomic(&folder.path().join("file"), b"", 0o600).unwrap();
        assert_eq!(names(folder.path()), [alive.as_str(), ".file.part", ".other.1-1.part", "file"]);
    }

    #[test]
    fn where_no_file_can_be_without_a_name_it_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut destination = Destination::prepare(&path, 0o600).unwrap();
        if let Place::File { unnamed, .. } = &mut destination.0 {
            *unnamed = None;
        }
        destination.write(b"whole").unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (&b"whole"[..], 0o600));
        assert_eq!(names(folder.path()), ["file"]);
    }
}
