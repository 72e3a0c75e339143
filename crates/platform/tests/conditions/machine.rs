//! A machine whose kernel says what a test wants, and the sensors that run on it.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A hang's bound: ten times what the slowest step takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Puts the test's folders over the kernel's, in a namespace that nobody else sees. `/proc` and `/dev` become folders
/// of links to what they hold, beside the test's own entries; `/sys/class` and the processors' folder are the test's.
const IN_NAMESPACE: &str = r#"
set -e
root=$1; shift
for folder in proc dev; do
    [ -d "$root/$folder" ] || continue
    mkdir -p "$root/real/$folder"
    mount --rbind "/$folder" "$root/real/$folder"
    for entry in "/$folder"/*; do
        [ -e "$root/$folder/${entry##*/}" ] || ln -s "$root/real/$folder/${entry##*/}" "$root/$folder/${entry##*/}"
    done
    mount --bind "$root/$folder" "/$folder"
done
mount --bind "$root/sys/class" /sys/class
mount --bind "$root/sys/devices/system/cpu" /sys/devices/system/cpu
exec "$@"
"#;

pub(crate) struct Machine {
    root: TempDir,
}

impl Machine {
    /// Whether this user may put folders over the kernel's here: in some containers, and where the system forbids user
    /// namespaces, only the superuser may, or nobody. A test that can't be run there says so.
    pub(crate) fn can_be_made() -> bool {
        let tried = namespace().args(["mount", "--bind", "/tmp", "/tmp"]).output().expect("unshare is everywhere");
        if !tried.status.success() {
            println!("not tried: {}", String::from_utf8_lossy(&tried.stderr).trim());
        }
        tried.status.success()
    }

    /// One on which the kernel says nothing.
    pub(crate) fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["sys/class", "sys/devices/system/cpu"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        machine
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Writes a file, in place: the kernel's files keep their identity too.
    pub(crate) fn set(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    pub(crate) fn set_all(&self, folder: &str, files: &[(&str, &str)]) {
        for (name, text) in files {
            self.set(&format!("{folder}/{name}"), text);
        }
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }

    /// The sensors on this machine.
    pub(crate) fn start(&self, arguments: &[&str]) -> Sensors {
        self.start_as(&[], arguments)
    }

    /// The same without the right to read what permissions forbid.
    pub(crate) fn start_powerless(&self, arguments: &[&str]) -> Sensors {
        self.start_as(&["setpriv", "--bounding-set=-all", "--inh-caps=-all"], arguments)
    }

    fn start_as(&self, wrapper: &[&str], arguments: &[&str]) -> Sensors {
        let mut command = namespace();
        command.args(["sh", "-c", IN_NAMESPACE, "sh"]).arg(self.root.path());
        command.args(wrapper).arg(program()).args(arguments);
        Sensors::run(command, &[])
    }
}

/// What follows runs in a mount namespace of its own.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::getuid().is_root() {
        command.arg("--map-root-user");
    }
    command
}

fn program() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/sensors")
}

/// The example program, and the lines that it prints.
pub(crate) struct Sensors {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Receiver<String>,
}

fn lines(of: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || BufReader::new(of).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

impl Sensors {
    /// The sensors on this machine as it is, in a session of the test's making.
    pub(crate) fn start_in(session: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(arguments);
        Self::run(command, session)
    }

    fn run(mut command: Command, session: &[(&str, &str)]) -> Self {
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        // No bus of the machine that tests run on.
        for name in ["DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"] {
            command.env(name, "unix:path=/nowhere/bus");
        }
        // Nor X servers of other tests.
        command.env("X11_SOCKETS", "/nonexistent");
        command.envs(session.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("cargo builds the example with the tests");
        let (lines, log) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { orders: child.stdin.take(), child, lines, log }
    }

    /// Waits for a line of the log that has all these words.
    pub(crate) fn logs(&self, words: &[&str]) {
        let start = Instant::now();
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            if words.iter().all(|word| line.contains(word)) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{words:?} is not logged");
        }
    }

    pub(crate) fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{order}").unwrap();
    }

    /// Has everything read again until `wanted` is delivered.
    pub(crate) fn look(&mut self, what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        let start = Instant::now();
        loop {
            // Starting to run reads at once.
            self.order("held");
            self.order("running");
            let line = self.next(what);
            if wanted(&line) {
                return line;
            }
            assert!(start.elapsed() < PATIENCE, "{what} does not come; the last was {line:?}");
        }
    }

    /// Waits until `wanted` is delivered.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        let start = Instant::now();
        loop {
            let line = self.next(what);
            if wanted(&line) {
                return line;
            }
            assert!(start.elapsed() < PATIENCE, "{what} does not come; the last was {line:?}");
        }
    }

    pub(crate) fn next(&self, what: &str) -> Line {
        let line = self.lines.recv_timeout(PATIENCE);
        Line::parse(&line.unwrap_or_else(|error| {
            let log: Vec<_> = self.log.try_iter().collect();
            panic!("{what}: {error}; the log says {log:#?}")
        }))
    }

    /// Ends standard input and waits: the program must end by itself.
    pub(crate) fn end(mut self) {
        drop(self.orders.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Sensors {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of a line by their keys.
#[derive(Debug)]
pub(crate) struct Line(HashMap<String, String>);

impl Line {
    fn parse(line: &str) -> Self {
        let words = line.split(' ').filter_map(|word| word.split_once('='));
        Self(words.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    pub(crate) fn is(&self, key: &str, value: &str) -> bool {
        self.get(key) == value
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }
}

/// Killed when dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Forbids everybody to open it.
pub(crate) fn forbid(path: &Path) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
}
