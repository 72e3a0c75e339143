//! Windows that fill a screen, by X11: those that say so, and the active one where it covers a monitor without a frame.
//!
//! Not in a Wayland session: XWayland shows only its own windows, and asking it starts it.

use std::time::{Duration, Instant};

use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, GetPropertyReply, Rectangle, Window};

use crate::displays;
use crate::surroundings::Surroundings;
use crate::x11::{self, X11Error, XConnection, XDisplay};

/// How long to wait before trying a display again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// More windows than anybody has.
const MOST_WINDOWS: u32 = 256;
/// A window with this desktop is on all of them.
const ALL_DESKTOPS: u32 = u32::MAX;
/// The flag of _MOTIF_WM_HINTS which says that its third number, the decorations, counts.
const MOTIF_DECORATIONS: u32 = 2;

x11rb::atom_manager! {
    /// Names of the window manager's hints (EWMH 1.5), and Motif's.
    Atoms: AtomsCookie {
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_CURRENT_DESKTOP,
        _NET_WM_DESKTOP,
        _NET_WM_STATE,
        _NET_WM_STATE_FULLSCREEN,
        _NET_WM_STATE_HIDDEN,
        _NET_WM_STATE_MAXIMIZED_HORZ,
        _NET_WM_STATE_MAXIMIZED_VERT,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DESKTOP,
        _NET_WM_WINDOW_TYPE_DOCK,
        _MOTIF_WM_HINTS,
    }
}

/// The display's windows, where there is a display that tells.
#[derive(Debug)]
pub(super) struct Windows {
    around: Surroundings,
    display: Option<Display>,
    retry_at: Option<Instant>,
    pause: Duration,
}

impl Windows {
    pub(super) fn new(around: &Surroundings) -> Self {
        Self { around: around.clone(), display: None, retry_at: None, pause: RETRY.0 }
    }

    /// Class names of the windows that fill a screen. A display that can't be asked shows none. Takes a few seconds at
    /// most, where the display hangs.
    pub(super) fn full_screen(&mut self) -> Vec<String> {
        if self.display.is_none() {
            if self.retry_at.is_some_and(|at| Instant::now() < at) {
                return Vec::new();
            }
            self.display = self.connect();
            self.retry_at = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(RETRY.1);
        }
        let Some(display) = &self.display else { return Vec::new() };
        match display.full_screen() {
            Ok(names) => {
                self.pause = RETRY.0;
                names
            }
            Err(error) => {
                tracing::debug!(%error, "windows can't be seen any more");
                self.display = None;
                Vec::new()
            }
        }
    }

    fn connect(&self) -> Option<Display> {
        for display in displays::find(&self.around).candidates().unwrap_or_default() {
            let displays::Display::X11(server) = display else { return None };
            match Display::connect(&server) {
                Ok(connected) => return Some(connected),
                Err(error) => tracing::debug!(display = server.name, %error, "windows can't be seen"),
            }
        }
        None
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.display.is_some()
    }
}

#[derive(Debug)]
struct Display {
    connection: XConnection,
    root: Window,
    atoms: Atoms,
    /// Whether the server knows monitors (RandR 1.5); without them the screen is one.
    monitors: bool,
}

impl Display {
    fn connect(display: &XDisplay) -> Result<Self, X11Error> {
        let (connection, screen) = x11::connect(display)?;
        let root = connection.setup().roots[screen].root;
        let atoms = Atoms::new(&connection)?.reply()?;
        let monitors = connection.extension_information(randr::X11_EXTENSION_NAME)?.is_some()
            && connection
                .randr_query_version(1, 5)?
                .reply()
                .is_ok_and(|it| (it.major_version, it.minor_version) >= (1, 5));
        Ok(Self { connection, root, atoms, monitors })
    }

    fn full_screen(&self) -> Result<Vec<String>, X11Error> {
        let atoms = &self.atoms;
        // Each group is sent whole before its first answer is awaited: two waits, however many windows.
        let active = self.ask(self.root, atoms._NET_ACTIVE_WINDOW)?;
        let clients = self.ask(self.root, atoms._NET_CLIENT_LIST)?;
        let desktop = self.ask(self.root, atoms._NET_CURRENT_DESKTOP)?;
        let active = numbers(active.reply_unchecked()?).first().copied().filter(|window| *window != 0);
        let mut windows = numbers(clients.reply_unchecked()?);
        let desktop = numbers(desktop.reply_unchecked()?).first().copied();
        // Once, and last: what is known of it after the loop is the active one's.
        windows.retain(|window| Some(*window) != active);
        windows.extend(active);

        let mut asked = Vec::with_capacity(windows.len());
        for window in windows {
            let (state, place) = (self.ask(window, atoms._NET_WM_STATE)?, self.ask(window, atoms._NET_WM_DESKTOP)?);
            asked.push((window, state, place));
        }
        let cover = active.map(|window| self.ask_cover(window)).transpose()?;

        let (mut found, mut maximized) = (Vec::new(), false);
        for (window, state, place) in asked {
            let state = numbers(state.reply_unchecked()?);
            let place = numbers(place.reply_unchecked()?).first().copied();
            let here =
                place.is_none_or(|place| place == ALL_DESKTOPS || desktop.is_none_or(|desktop| place == desktop));
            let has = |atom| state.contains(&atom);
            if has(atoms._NET_WM_STATE_FULLSCREEN) && !has(atoms._NET_WM_STATE_HIDDEN) && here {
                found.push(window);
            }
            // A desktop without a panel gives a maximized window the whole monitor: nobody watches a spreadsheet.
            maximized = Some(window) == active
                && (has(atoms._NET_WM_STATE_MAXIMIZED_HORZ) || has(atoms._NET_WM_STATE_MAXIMIZED_VERT));
        }
        if let (Some(window), Some(cover)) = (active, cover)
            && !maximized
            && !found.contains(&window)
            && cover.covers(atoms)?
        {
            found.push(window);
        }
        self.names(&found)
    }

    fn ask(&self, window: Window, property: Atom) -> Result<Property<'_>, X11Error> {
        Ok(self.connection.get_property(false, window, property, AtomEnum::ANY, 0, MOST_WINDOWS)?)
    }

    fn ask_cover(&self, window: Window) -> Result<Cover<'_>, X11Error> {
        Ok(Cover {
            geometry: self.connection.get_geometry(window)?,
            position: self.connection.translate_coordinates(window, self.root, 0, 0)?,
            kind: self.ask(window, self.atoms._NET_WM_WINDOW_TYPE)?,
            motif: self.ask(window, self.atoms._MOTIF_WM_HINTS)?,
            monitors: if self.monitors { Some(self.connection.randr_get_monitors(self.root, true)?) } else { None },
            screen: self.connection.get_geometry(self.root)?,
        })
    }

    fn names(&self, windows: &[Window]) -> Result<Vec<String>, X11Error> {
        let class = |window: &Window| {
            self.connection.get_property(false, *window, AtomEnum::WM_CLASS, AtomEnum::STRING, 0, MOST_WINDOWS)
        };
        let asked: Vec<_> = windows.iter().map(class).collect::<Result<_, _>>()?;
        asked.into_iter().map(|class| Ok(class_name(class.reply_unchecked()?))).collect()
    }
}

type Cookie<'a, R> = x11rb::cookie::Cookie<'a, XConnection, R>;
type Property<'a> = Cookie<'a, GetPropertyReply>;

/// What was asked to know whether a window covers a monitor.
struct Cover<'a> {
    geometry: Cookie<'a, x11rb::protocol::xproto::GetGeometryReply>,
    position: Cookie<'a, x11rb::protocol::xproto::TranslateCoordinatesReply>,
    kind: Property<'a>,
    motif: Property<'a>,
    monitors: Option<Cookie<'a, randr::GetMonitorsReply>>,
    screen: Cookie<'a, x11rb::protocol::xproto::GetGeometryReply>,
}

impl Cover<'_> {
    fn covers(self, atoms: &Atoms) -> Result<bool, X11Error> {
        let geometry = self.geometry.reply_unchecked()?;
        let position = self.position.reply_unchecked()?;
        let kind = numbers(self.kind.reply_unchecked()?);
        let motif = numbers(self.motif.reply_unchecked()?);
        let monitors = self.monitors.map(|asked| asked.reply_unchecked()).transpose()?.flatten();
        let screen = self.screen.reply_unchecked()?;

        // The window may be gone by now.
        let (Some(geometry), Some(position), Some(screen)) = (geometry, position, screen) else { return Ok(false) };
        let desktop =
            kind.contains(&atoms._NET_WM_WINDOW_TYPE_DESKTOP) || kind.contains(&atoms._NET_WM_WINDOW_TYPE_DOCK);
        let frameless = matches!(motif[..], [flags, _, 0, ..] if flags & MOTIF_DECORATIONS != 0);
        if desktop || !frameless {
            return Ok(false);
        }
        let window = Rectangle { x: position.dst_x, y: position.dst_y, width: geometry.width, height: geometry.height };
        let monitors: Vec<Rectangle> = monitors.map_or_else(Vec::new, |reply| {
            reply.monitors.iter().map(|it| Rectangle { x: it.x, y: it.y, width: it.width, height: it.height }).collect()
        });
        if monitors.is_empty() {
            return Ok(contains(window, Rectangle { x: 0, y: 0, width: screen.width, height: screen.height }));
        }
        Ok(monitors.into_iter().any(|monitor| contains(window, monitor)))
    }
}

fn contains(outer: Rectangle, inner: Rectangle) -> bool {
    let ends = |start: i16, length: u16| i32::from(start) + i32::from(length);
    inner.width > 0
        && inner.height > 0
        && outer.x <= inner.x
        && outer.y <= inner.y
        && ends(outer.x, outer.width) >= ends(inner.x, inner.width)
        && ends(outer.y, outer.height) >= ends(inner.y, inner.height)
}

/// The property's numbers; none where the window or the property is gone.
fn numbers(reply: Option<GetPropertyReply>) -> Vec<u32> {
    reply.and_then(|reply| Some(reply.value32()?.collect())).unwrap_or_default()
}

/// WM_CLASS is two strings, the instance's and the class's, each ended by a zero.
fn class_name(reply: Option<GetPropertyReply>) -> String {
    let value = reply.map(|reply| reply.value).unwrap_or_default();
    let mut parts = value.split(|byte| *byte == 0).filter(|part| !part.is_empty());
    let first = parts.next();
    parts.next().or(first).map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_covers_a_monitor_when_no_edge_is_left() {
        let rectangle = |x, y, width, height| Rectangle { x, y, width, height };
        let monitor = rectangle(1920, 0, 1920, 1080);
        assert!(contains(monitor, monitor));
        assert!(contains(rectangle(0, -10, 3840, 1100), monitor));
        assert!(!contains(rectangle(1920, 24, 1920, 1056), monitor), "a panel is left");
        assert!(!contains(rectangle(0, 0, 1920, 1080), monitor));
        assert!(!contains(monitor, rectangle(0, 0, 0, 0)), "a monitor that is off");
    }
}
