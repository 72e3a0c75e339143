//! A user's service starts before its session has a display, and finds it when it comes.

use std::os::unix::fs::symlink;
use std::path::Path;

use surge_platform::presence::Surroundings;
use zbus::interface;

use crate::Watched;
use crate::bus::{Bus, runtime};
use crate::compositor::{Compositor, Event};
use crate::x11::{press_keys, xvfb};

/// The user's service manager, which the session tells its environment.
struct Manager(Vec<String>);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(property)]
    fn environment(&self) -> Vec<String> {
        self.0.clone()
    }
}

fn in_folder(folder: &Path) -> Surroundings {
    Surroundings { runtime_dir: Some(folder.into()), x11_sockets: folder.into(), ..Surroundings::none() }
}

#[test]
fn an_x_server_that_starts_later_is_found_by_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::start(&in_folder(folder.path()));
    watched.becomes_unknown("no display");
    let (_server, display) = xvfb(None);
    let name = format!("X{}", &display[1..]);
    symlink(Path::new("/tmp/.X11-unix").join(&name), folder.path().join(&name)).unwrap();
    watched.becomes_idle();
    assert_eq!(watched.watcher.source(), "x11");
    press_keys(&display, 1);
    watched.becomes_active();
}

#[test]
fn a_compositor_of_any_number_that_starts_later_is_found_by_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let watched = Watched::start(&in_folder(folder.path()));
    watched.becomes_unknown("no display");
    let elsewhere = tempfile::tempdir().unwrap();
    let compositor = Compositor::start(elsewhere.path(), Some(2));
    symlink(&compositor.socket, folder.path().join("wayland-4")).unwrap();
    watched.becomes_idle();
    assert_eq!(watched.watcher.source(), "wayland");
    compositor.tell(Event::Input(0));
    watched.becomes_active();
}

#[test]
fn what_the_session_tells_the_service_manager_later_is_believed_before_any_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (_virtual, first) = xvfb(None);
    let name = format!("X{}", &first[1..]);
    symlink(Path::new("/tmp/.X11-unix").join(&name), folder.path().join(&name)).unwrap();
    // The bus comes later, too.
    let watched = Watched::start(&in_folder(folder.path()));
    watched.becomes_idle();

    let (_server, display) = xvfb(None);
    let own = format!("X{}", &display[1..]);
    symlink(Path::new("/tmp/.X11-unix").join(&own), folder.path().join(&own)).unwrap();
    let bus = Bus::start(folder.path());
    let runtime = runtime();
    let manager = Manager(vec![format!("DISPLAY={display}"), "XDG_SESSION_TYPE=x11".into()]);
    let builder = bus.connection().name("org.freedesktop.systemd1").unwrap();
    let builder = builder.serve_at("/org/freedesktop/systemd1", manager).unwrap();
    let _service = runtime.block_on(builder.build()).unwrap();
    // Whoever types at the session's own display is seen before long.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let typist = std::thread::spawn(move || {
        while stopped.recv_timeout(std::time::Duration::from_millis(200)).is_err() {
            press_keys(&display, 1);
        }
    });
    watched.becomes_active();
    stop.send(()).unwrap();
    typist.join().unwrap();
    watched.becomes_idle();
}
