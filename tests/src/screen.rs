//! A display for tests: an X server without a monitor, and what a person does with one: look, click, close a window.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConnectionExt, EventMask, ImageFormat,
    KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, MapState, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

const WIDTH: i16 = 1280;
const HEIGHT: i16 = 960;

/// A program that ends with the test.
#[derive(Debug)]
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server that prints its address as the first line on its standard output.
///
/// # Errors
/// When it can't be started, with the Debian package that has it.
pub fn serve(command: &mut Command, package: &str) -> Result<(Server, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = command.stdout(Stdio::piped()).spawn();
    let mut server = Server(started.with_context(|| format!("{program} is missing: install the package {package}"))?);
    let output = server.0.stdout.take().context("its output is a pipe")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok((server, line.trim().to_owned()))
}

/// An X server of its own.
#[derive(Debug)]
pub struct Screen {
    /// For `DISPLAY`.
    pub display: String,
    connection: RustConnection,
    root: Window,
    _server: Server,
}

/// The pixels of a window.
#[derive(Debug, Clone)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<[u8; 3]>,
}

impl Screen {
    /// # Errors
    /// When Xvfb is missing or does not answer.
    pub fn start() -> Result<Self> {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", &format!("{WIDTH}x{HEIGHT}x24"), "-nolisten", "tcp", "-noreset"])
            .stderr(Stdio::null());
        let (server, number) = serve(&mut xvfb, "xvfb")?;
        let display = format!(":{number}");
        let (connection, screen) = x11rb::connect(Some(&display))?;
        let root = connection.setup().roots[screen].root;
        Ok(Self { display, connection, root, _server: server })
    }

    /// The visible window with this title.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn window(&self, title: &str) -> Result<Option<Window>> {
        Ok(self.all(title)?.first().copied())
    }

    /// How many visible windows have this title.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn windows(&self, title: &str) -> Result<usize> {
        Ok(self.all(title)?.len())
    }

    fn all(&self, title: &str) -> Result<Vec<Window>> {
        let mut found = Vec::new();
        let name = self.atom("_NET_WM_NAME")?;
        for window in self.connection.query_tree(self.root)?.reply()?.children {
            // A window may go while it is looked at.
            let Ok(shape) = self.connection.get_window_attributes(window)?.reply() else { continue };
            let Ok(property) = self.connection.get_property(false, window, name, AtomEnum::ANY, 0, 64)?.reply() else {
                continue;
            };
            if shape.map_state == MapState::VIEWABLE && property.value == title.as_bytes() {
                found.push(window);
            }
        }
        Ok(found)
    }

    /// # Errors
    /// When the window is gone.
    pub fn look_at(&self, window: Window) -> Result<Picture> {
        let size = self.connection.get_geometry(window)?.reply()?;
        let image =
            self.connection.get_image(ImageFormat::Z_PIXMAP, window, 0, 0, size.width, size.height, !0)?.reply()?;
        let rgb = image.data.chunks_exact(4).map(|bgrx| [bgrx[2], bgrx[1], bgrx[0]]).collect();
        Ok(Picture { width: size.width.into(), height: size.height.into(), rgb })
    }

    /// Asks a window to close, as the button in its frame does.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn close(&self, window: Window) -> Result<()> {
        let (protocols, delete) = (self.atom("WM_PROTOCOLS")?, self.atom("WM_DELETE_WINDOW")?);
        let message = ClientMessageEvent::new(32, window, protocols, [delete, 0, 0, 0, 0]);
        self.connection.send_event(false, window, EventMask::NO_EVENT, message)?.check()?;
        Ok(())
    }

    /// Moves the pointer to a place in a window, clicks, and takes it out of the way again.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn click(&self, window: Window, x: i16, y: i16) -> Result<()> {
        let place = self.connection.translate_coordinates(window, self.root, x, y)?.reply()?;
        self.fake(MOTION_NOTIFY_EVENT, 0, place.dst_x, place.dst_y)?;
        self.fake(BUTTON_PRESS_EVENT, 1, 0, 0)?;
        self.fake(BUTTON_RELEASE_EVENT, 1, 0, 0)?;
        self.fake(MOTION_NOTIFY_EVENT, 0, WIDTH - 1, HEIGHT - 1)
    }

    /// Moves the pointer to another place than before, for each `number`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn move_pointer(&self, number: usize) -> Result<()> {
        let x = i16::try_from(number % 1_000).unwrap_or_default();
        self.fake(MOTION_NOTIFY_EVENT, 0, x, 100)
    }

    /// Presses the shift key, which types nothing and never repeats, or lets it go.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn shift(&self, down: bool) -> Result<()> {
        const SHIFT: u8 = 50;
        self.fake(if down { KEY_PRESS_EVENT } else { KEY_RELEASE_EVENT }, SHIFT, 0, 0)
    }

    /// Gives a window the keyboard, and presses the space bar.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn press_space(&self, window: Window) -> Result<()> {
        const SPACE: u8 = 65;
        self.connection
            .set_input_focus(x11rb::protocol::xproto::InputFocus::PARENT, window, x11rb::CURRENT_TIME)?
            .check()?;
        self.fake(KEY_PRESS_EVENT, SPACE, 0, 0)?;
        self.fake(KEY_RELEASE_EVENT, SPACE, 0, 0)
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) -> Result<()> {
        self.connection.xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, self.root, x, y, 0)?.check()?;
        Ok(())
    }

    fn atom(&self, name: &str) -> Result<u32> {
        Ok(self.connection.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }
}

impl Picture {
    /// Where this colour is: the first and last column and row of its pixels, and how many there are.
    #[must_use]
    pub fn area_of(&self, colour: [u8; 3]) -> Option<Area> {
        let mut area: Option<Area> = None;
        for (i, _) in self.rgb.iter().enumerate().filter(|(_, pixel)| **pixel == colour) {
            let (x, y) = (i % self.width, i / self.width);
            let known = area.get_or_insert(Area { left: x, right: x, top: y, bottom: y, pixels: 0 });
            known.left = known.left.min(x);
            known.right = known.right.max(x);
            known.bottom = known.bottom.max(y);
            known.pixels += 1;
        }
        area
    }

    /// Writes it as a PNG file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn save(&self, path: &std::path::Path) -> Result<()> {
        let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
        let mut png =
            png::Encoder::new(std::io::BufWriter::new(file), u32::try_from(self.width)?, u32::try_from(self.height)?);
        png.set_color(png::ColorType::Rgb);
        png.write_header()?.write_image_data(self.rgb.as_flattened())?;
        Ok(())
    }
}

/// Columns and rows in a picture, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub left: usize,
    pub right: usize,
    pub top: usize,
    pub bottom: usize,
    pub pixels: usize,
}
