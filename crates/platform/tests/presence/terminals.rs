//! Pseudo terminals that somebody types at, beside a display that nobody touches.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use surge_platform::presence::{Presence, Surroundings};

use crate::Watched;
use crate::compositor::{Compositor, Event};

/// A terminal as a login over SSH has one, and what somebody types at it.
pub(crate) struct Terminal {
    keyboard: File,
    shell: File,
    path: PathBuf,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let path = PathBuf::from(ptsname(&keyboard, Vec::new()).unwrap().to_str().unwrap());
        let shell = File::options().read(true).write(true).open(&path).unwrap();
        Self { keyboard: keyboard.into(), shell, path }
    }

    pub(crate) fn type_a_line(&mut self) {
        self.keyboard.write_all(b"ls\n").unwrap();
        assert_eq!(self.shell.read(&mut [0; 64]).unwrap(), 3);
    }

    fn print(&mut self) {
        self.shell.write_all(b"still working\n").unwrap();
        assert!(self.keyboard.read(&mut [0; 64]).unwrap() > 0);
    }
}

/// `/dev` with these terminals only.
pub(crate) fn dev(folder: &Path, terminals: &[&Terminal]) {
    std::fs::create_dir(folder.join("pts")).unwrap();
    for (number, terminal) in terminals.iter().enumerate() {
        symlink(&terminal.path, folder.join(format!("pts/{number}"))).unwrap();
    }
}

fn around(compositor: &Compositor, dev: &Path) -> Surroundings {
    Surroundings {
        wayland_display: Some(compositor.socket.to_str().unwrap().into()),
        dev: dev.into(),
        ..Surroundings::none()
    }
}

#[test]
fn typing_over_ssh_ends_idleness_and_output_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    let (mut here, mut there) = (Terminal::open(), Terminal::open());
    dev(folder.path(), &[&here, &there]);
    let watched = Watched::start(&around(&compositor, folder.path()));
    watched.becomes_idle();
    there.print();
    there.type_a_line();
    watched.becomes_active();
    // Nothing is looked at while the display sees input, and nothing that was typed then is missed.
    compositor.tell(Event::Input(0));
    here.type_a_line();
    watched.becomes_idle();
    watched.says_nothing_new();
}

#[test]
fn a_login_ends_idleness() {
    let folder = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(folder.path(), Some(2));
    dev(folder.path(), &[]);
    let watched = Watched::start(&around(&compositor, folder.path()));
    watched.becomes_idle();
    let terminal = Terminal::open();
    symlink(&terminal.path, folder.path().join("pts/12")).unwrap();
    watched.becomes_active();
    std::fs::remove_file(folder.path().join("pts/12")).unwrap();
    watched.becomes_idle();
}

#[test]
fn terminals_alone_do_not_tell_that_nobody_sits_here() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::open();
    dev(folder.path(), &[&terminal]);
    let watched = Watched::start(&Surroundings { dev: folder.path().into(), ..Surroundings::none() });
    assert!(matches!(watched.next(), Presence::Unknown(why) if why.contains("no display")));
}
