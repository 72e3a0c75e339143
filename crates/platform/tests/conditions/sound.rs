//! Who records, by a real sound server, PulseAudio or PipeWire, with a speaker and a microphone that are nowhere.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::buses::Bus;
use crate::machine::{Killed, PATIENCE, Sensors};

struct Session {
    folder: TempDir,
    server: Option<Killed>,
    /// PipeWire's other halves.
    others: Vec<Killed>,
    /// Which its session manager does not live without.
    bus: Option<Bus>,
}

impl Session {
    /// A session with a sound server.
    fn start() -> Self {
        let mut session = Self::silent();
        session.start_server();
        session
    }

    /// One without.
    fn silent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pulse")).unwrap();
        Self { folder, server: None, others: Vec::new(), bus: None }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("pulse/native")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
            command.env(name, self.folder.path());
        }
        command.env("PULSE_SERVER", format!("unix:{}", self.socket().display()));
        let bus = self.bus.as_ref().map_or("unix:path=/nowhere/bus", |bus| &bus.address);
        command.env("DBUS_SESSION_BUS_ADDRESS", bus);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start_server(&mut self) {
        let protocol = format!("module-native-protocol-unix socket={}", self.socket().display());
        let mut command = self.command("pulseaudio");
        command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]);
        for module in ["module-null-sink sink_name=speaker", "module-null-source source_name=microphone", &protocol] {
            command.args(["-L", module]);
        }
        let server = command.spawn();
        self.server = Some(Killed(server.expect("pulseaudio starts (`cargo xtask setup` installs it)")));
        self.until_done(&["info"]);
    }

    /// One with PipeWire, its session manager, and its part that speaks PulseAudio's protocol.
    fn start_pipewire() -> Self {
        let mut session = Self { bus: Some(Bus::start()), ..Self::silent() };
        for program in ["pipewire", "wireplumber", "pipewire-pulse"] {
            let started = session.command(program).spawn();
            session.others.push(Killed(started.unwrap_or_else(|error| panic!("{program}: {error}"))));
            if program == "pipewire" {
                session.until_there("pipewire-0");
            }
        }
        session.server = session.others.pop();
        session.until_done(&["info"]);
        session.until_done(&["load-module", "module-null-sink", "sink_name=speaker"]);
        let microphone = ["media.class=Audio/Source/Virtual", "sink_name=microphone", "channel_map=mono"];
        session.until_done(&[["load-module", "module-null-sink"].as_slice(), &microphone].concat());
        session
    }

    fn until_there(&self, name: &str) {
        let start = Instant::now();
        while !self.folder.path().join(name).exists() {
            assert!(start.elapsed() < PATIENCE, "no {name}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Orders the server until it obeys.
    fn until_done(&self, order: &[&str]) {
        let start = Instant::now();
        while !self.command("pactl").args(order).status().unwrap().success() {
            assert!(start.elapsed() < PATIENCE, "the sound server does not {order:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As if the machine ran out of memory.
    fn kill_server(&mut self) {
        self.server = None;
    }

    fn sensors(&self) -> Sensors {
        Sensors::start_in(&[("XDG_RUNTIME_DIR", self.folder.path().to_str().unwrap())], &["600"])
    }

    /// A program of that name records from `source` until it is dropped.
    fn record(&self, program: &str, source: &str) -> Killed {
        let named = format!("--property=application.process.binary={program}");
        Killed(self.command("parec").args([&named, "--raw", "-d", source]).spawn().unwrap())
    }

    fn play_music(&self) -> Killed {
        Killed(self.command("pacat").args(["--raw", "-d", "speaker", "/dev/zero"]).spawn().unwrap())
    }

    /// Waits until the server itself says that so many streams record.
    fn until_streams(&self, wanted: usize) {
        let start = Instant::now();
        loop {
            let listed =
                self.command("pactl").args(["list", "short", "source-outputs"]).stdout(Stdio::piped()).output();
            if String::from_utf8(listed.unwrap().stdout).unwrap().lines().count() == wanted {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{wanted} streams are not there");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_program_that_records_from_a_microphone_is_a_call_and_has_a_name() {
    who_records(&Session::start());
}

#[test]
fn pipewire_tells_the_same() {
    who_records(&Session::start_pipewire());
}

fn who_records(session: &Session) {
    let sensors = session.sensors();
    let _music = session.play_music();
    // A recording of what is played, as the volume's display of many a mixer is.
    let _mixer = session.record("mixer", "speaker.monitor");
    session.until_streams(1);
    let call = session.record("zoom", "microphone");
    sensors.until("the call", |line| line.get("uses").contains("Call"));
    let second = session.record("recorder", "microphone");
    sensors.until("both", |line| line.is("uses", r#"[Call("zoom"),Call("recorder")]"#));
    drop(call);
    sensors.until("the second alone", |line| line.is("uses", r#"[Call("recorder")]"#));
    drop(second);
    sensors.until("music alone, which is no call", |line| line.is("uses", "[]"));
    session.until_streams(1);
}

#[test]
fn a_sound_server_that_dies_says_nothing_more_and_is_heard_when_it_is_back() {
    let mut session = Session::start();
    let sensors = session.sensors();
    let _call = session.record("zoom", "microphone");
    sensors.until("the call", |line| line.is("uses", r#"[Call("zoom")]"#));
    session.kill_server();
    sensors.until("no call without a server", |line| line.is("uses", "[]"));
    session.start_server();
    let _again = session.record("jitsi", "microphone");
    sensors.until("the call on the server that is back", |line| line.is("uses", r#"[Call("jitsi")]"#));
    sensors.end();
}

#[test]
fn a_session_whose_sound_server_comes_later_hears_it() {
    let mut session = Session::silent();
    let mut sensors = session.sensors();
    sensors.look("nobody records where there is no server", |line| line.is("uses", "[]"));
    session.start_server();
    let _call = session.record("zoom", "microphone");
    sensors.until("the call", |line| line.is("uses", r#"[Call("zoom")]"#));
}

#[test]
fn what_talks_nonsense_is_no_sound_server() {
    use std::io::{Read, Write};
    let session = Session::silent();
    let listener = std::os::unix::net::UnixListener::bind(session.socket()).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in [[0xff; 64].as_slice(), &[0; 4096], b"HTTP/1.1 200 OK\r\n\r\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 64]).unwrap() > 0);
            // It may have gone already.
            let _ = stream.write_all(answer);
            told.send(()).unwrap();
        }
    });
    let mut sensors = session.sensors();
    for _ in 0..3 {
        heard.recv_timeout(PATIENCE).expect("it comes back after each, later and later");
        sensors.look("nobody records", |line| line.is("uses", "[]"));
    }
    sensors.end();
}
