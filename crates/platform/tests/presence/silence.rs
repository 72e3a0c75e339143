//! Sources that are there and say nothing: each is given up after a while and named, at the start and later, and nobody
//! who stops watching waits for it.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, Mode, mkfifoat};
use surge_platform::presence::{Presence, Surroundings};

use crate::compositor::Compositor;
use crate::{PATIENCE, Watched};

/// Accepts everybody and says nothing to anybody, or sends them away.
fn server(answers: bool, accept: impl Fn() -> std::io::Result<Box<dyn Send>> + Send + 'static) {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok(client) = accept() {
            if answers {
                kept.push(client);
            }
        }
    });
}

fn mute(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    server(true, move || Ok(Box::new(listener.accept()?)));
}

/// A display that accepts connections and either keeps them in silence or closes them.
fn display(keeps: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("127.0.0.1:{}", listener.local_addr().unwrap().port() - 6000);
    server(keeps, move || Ok(Box::new(listener.accept()?)));
    name
}

/// Presence is unknown for a reason with all these words, and the watcher can be dropped.
fn is_unknown(around: &Surroundings, words: &[&str]) {
    let watched = Watched::start(around);
    loop {
        match watched.next() {
            Presence::Unknown(why) if words.iter().all(|word| why.contains(word)) => break,
            Presence::Unknown(why) => println!("on the way: {why}"),
            other => panic!("{other:?}"),
        }
    }
    let (dropped, told) = mpsc::channel();
    std::thread::spawn(move || {
        drop(watched);
        dropped.send(())
    });
    assert_eq!(told.recv_timeout(PATIENCE), Ok(()), "stopping waits for nobody");
}

#[test]
fn an_x_server_that_says_nothing_is_given_up_and_named() {
    let mute = display(true);
    is_unknown(&Surroundings { display: Some(mute.clone()), ..Surroundings::none() }, &[&mute, "does not answer"]);
    let slams = display(false);
    is_unknown(&Surroundings { display: Some(slams.clone()), ..Surroundings::none() }, &[&slams, "can't be reached"]);
}

#[test]
fn a_compositor_that_says_nothing_is_given_up_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("wayland-7");
    mute(&socket);
    let around = Surroundings { wayland_display: Some(socket.to_str().unwrap().into()), ..Surroundings::none() };
    is_unknown(&around, &["wayland-7", "does not answer"]);
}

#[test]
fn a_session_bus_that_says_nothing_is_given_up_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let bus = folder.path().join("bus");
    mute(&bus);
    let compositor = Compositor::start(folder.path(), None);
    let around = Surroundings {
        wayland_display: Some(compositor.socket.to_str().unwrap().into()),
        session_bus: Some(format!("unix:path={}", bus.display())),
        ..Surroundings::none()
    };
    is_unknown(&around, &["session bus", "does not answer"]);
}

#[test]
fn a_system_bus_that_says_nothing_is_given_up_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let bus = folder.path().join("bus");
    mute(&bus);
    let compositor = Compositor::start(folder.path(), Some(2));
    let around = Surroundings {
        wayland_display: Some(compositor.socket.to_str().unwrap().into()),
        system_bus: format!("unix:path={}", bus.display()),
        ..Surroundings::none()
    };
    is_unknown(&around, &["login service", "does not answer"]);
}

/// A listener whose queue is full makes a blocking `connect` wait for ever.
#[test]
fn a_server_that_accepts_nobody_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("wayland-0");
    let _listener = UnixListener::bind(&socket).unwrap();
    let mut queued = Vec::new();
    loop {
        let (sender, connected) = mpsc::channel();
        let path = socket.clone();
        std::thread::spawn(move || sender.send(std::os::unix::net::UnixStream::connect(path)));
        match connected.recv_timeout(Duration::from_secs(2)) {
            Ok(stream) => queued.push(stream.unwrap()),
            Err(_) => break,
        }
    }
    let around = Surroundings { wayland_display: Some(socket.to_str().unwrap().into()), ..Surroundings::none() };
    is_unknown(&around, &["wayland-0", "does not answer"]);
}

/// A pipe that nobody writes to makes whoever opens it wait for ever, as a file on a dead file system does.
#[test]
fn terminals_that_can_not_be_looked_at_are_given_up_and_looked_at_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    let active = folder.path().join("tty0/active");
    std::fs::create_dir(active.parent().unwrap()).unwrap();
    mkfifoat(CWD, &active, Mode::RUSR | Mode::WUSR).unwrap();
    let around = Surroundings {
        wayland_display: Some(compositor.socket.to_str().unwrap().into()),
        sys: folder.path().into(),
        ..Surroundings::none()
    };
    let watched = Watched::start(&around);
    watched.becomes_unknown("terminals");
    std::fs::remove_file(&active).unwrap();
    watched.becomes_idle();
}
