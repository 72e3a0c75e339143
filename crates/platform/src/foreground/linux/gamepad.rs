//! Game controllers, by the kernel's event devices. Presence sources of the desktop don't see them.
//!
//! A controller that may not be read is not counted: it can't make a computer idle that its keyboard says is used. A
//! stick that trembles by itself is not a hand.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::kernel;
use crate::waitable::Waitable;

const DEVICES: &str = "/dev/input";
const CLASS: &str = "/sys/class/input";
/// How long to wait before looking again where plugging in can't be watched.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// From linux/input-event-codes.h.
const EV_KEY: u16 = 1;
const EV_ABS: u16 = 3;
const ABS_HAT0X: u16 = 0x10;
const ABS_HAT3Y: u16 = 0x17;
const BTN_JOYSTICK: u32 = 0x120;
const BTN_THUMBR: u32 = 0x13e;
const KEY_Q: u32 = 16;
const KEY_P: u32 = 25;
const ACCELEROMETER: u32 = 6;

/// An event's kind, code and value follow the time it came at.
const EVENT: usize = size_of::<libc::input_event>();
const TAIL: usize = 8;

/// The controllers that are plugged in.
#[derive(Debug)]
pub(super) struct Gamepads {
    pads: Vec<Pad>,
    /// Tells when a device comes, goes, or may be read at last.
    plugged: Option<Waitable>,
    look_at: Option<Instant>,
    /// The last movement, and what was moved.
    moved: Option<(Instant, String)>,
    /// Something came since the last look: whatever comes next can wait until then.
    heard: bool,
}

#[derive(Debug)]
struct Pad {
    device: PathBuf,
    name: String,
    file: Waitable,
    axes: Vec<Axis>,
}

/// A stick's or a trigger's direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    code: u16,
    /// Where it was when we first saw it.
    rest: i32,
    /// How far from there a hand has moved it.
    far: i32,
}

/// A controller that was plugged in and may be read.
#[derive(Debug)]
pub(crate) struct Found {
    device: PathBuf,
    name: String,
    file: File,
    axes: Vec<Axis>,
}

/// Opens the controllers that are not among the `known` ones. May hang, as their drivers do.
pub(crate) fn find(known: &HashSet<PathBuf>) -> Vec<Found> {
    let mut found = Vec::new();
    for device in kernel::numbered(Path::new(DEVICES), "event") {
        if known.contains(&device) {
            continue;
        }
        let Some(name) = device.file_name().and_then(|name| controller(&Path::new(CLASS).join(name).join("device")))
        else {
            continue;
        };
        match Found::open(device, name) {
            Ok(controller) => found.push(controller),
            Err(error) => tracing::debug!(%error, "a controller that may not be read is not counted"),
        }
    }
    found
}

impl Found {
    fn open(device: PathBuf, name: Name) -> std::io::Result<Self> {
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&device)?;
        let axes = name.axes.iter().filter_map(|code| axis(&file, *code)).collect();
        Ok(Self { device, name: name.text, file, axes })
    }
}

impl Gamepads {
    /// Must be called inside a tokio runtime.
    pub(super) fn new() -> Self {
        Self { pads: Vec::new(), plugged: None, look_at: Some(Instant::now()), moved: None, heard: false }
    }

    /// The controllers that are watched, when it is time to look for others.
    pub(super) fn look_beside(&mut self) -> Option<HashSet<PathBuf>> {
        if self.look_at.is_none_or(|at| at > Instant::now()) {
            return None;
        }
        if self.plugged.is_none() {
            self.plugged = watch().inspect_err(|error| tracing::debug!(%error, "{DEVICES} can't be watched")).ok();
        }
        // Until it is known that somebody could look.
        self.look_at = Some(Instant::now() + LOOK_AGAIN);
        Some(self.pads.iter().map(|pad| pad.device.clone()).collect())
    }

    /// Watches what was found as well. Must be called inside a tokio runtime.
    pub(super) fn add(&mut self, found: Vec<Found>) {
        if self.plugged.is_some() {
            self.look_at = None;
        }
        for Found { device, name, file, axes } in found {
            match Waitable::new(file) {
                Ok(file) => {
                    tracing::debug!(name, "a game controller is watched");
                    self.pads.push(Pad { device, name, file, axes });
                }
                Err(error) => tracing::debug!(%error, name, "a controller can't be waited for"),
            }
        }
    }

    /// The controller that was moved less than `time` ago.
    pub(super) fn moved_within(&mut self, time: Duration) -> Option<String> {
        let before = self.pads.len();
        let mut moved = None;
        self.pads.retain_mut(|pad| {
            let (drained, stays) = pad.drain();
            if drained == Drained::Moved {
                moved = Some(pad.name.clone());
            }
            stays
        });
        if self.pads.len() < before {
            self.look_at = Some(Instant::now());
        }
        if let Some(name) = moved {
            self.moved = Some((Instant::now(), name));
        }
        self.heard = false;
        self.moved.as_ref().filter(|(at, _)| at.elapsed() < time).map(|(_, name)| name.clone())
    }

    /// Returns when a controller was moved or plugged in. A controller wakes us once between two looks, however much it
    /// trembles.
    pub(super) async fn stirred(&mut self) {
        let Self { pads, plugged, look_at, moved, heard } = self;
        let listening: Vec<_> =
            if *heard { Vec::new() } else { pads.iter_mut().map(|pad| Box::pin(pad.touched())).collect() };
        let touched = async {
            if listening.is_empty() {
                std::future::pending().await
            } else {
                futures::future::select_all(listening).await.0
            }
        };
        tokio::select! {
            touched = touched => {
                *heard = true;
                match touched {
                    Some(name) => *moved = Some((Instant::now(), name)),
                    None => std::future::pending().await,
                }
            }
            () = changed(plugged.as_ref()) => *look_at = Some(Instant::now()),
        }
    }
}

fn watch() -> std::io::Result<Waitable> {
    let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    // udev gives the session's user the right to read after the device has appeared.
    inotify::add_watch(&queue, DEVICES, WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::DELETE)?;
    Waitable::new(queue)
}

/// Returns when something happened in the folder of devices.
async fn changed(plugged: Option<&Waitable>) {
    let Some(plugged) = plugged else { return std::future::pending().await };
    loop {
        let Ok(mut ready) = plugged.ready().await else { return std::future::pending().await };
        let mut events = [0; 4096];
        let mut any = false;
        while rustix::io::read(plugged, &mut events).is_ok_and(|length| length > 0) {
            any = true;
        }
        ready.clear_ready();
        if any {
            return;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    Nothing,
    /// Events, but none that a hand must have made.
    Noise,
    Moved,
}

impl Pad {
    /// Takes all events that are there; whether the device is.
    fn drain(&mut self) -> (Drained, bool) {
        let mut events = [0; EVENT * 64];
        let mut drained = Drained::Nothing;
        loop {
            match rustix::io::read(&self.file, &mut events) {
                Ok(0) => return (drained, false),
                Ok(length) => {
                    let moved = events[..length].chunks_exact(EVENT).any(|event| by_hand(event, &self.axes));
                    if moved {
                        drained = Drained::Moved;
                    } else if drained == Drained::Nothing {
                        drained = Drained::Noise;
                    }
                }
                Err(Errno::WOULDBLOCK) => return (drained, true),
                Err(Errno::INTR) => {}
                Err(_) => return (drained, false),
            }
        }
    }

    /// Returns when something came: the controller's name if a hand moved it.
    async fn touched(&mut self) -> Option<String> {
        loop {
            if self.file.ready().await.is_err() {
                return None;
            }
            match self.drain() {
                (Drained::Moved, _) => return Some(self.name.clone()),
                (Drained::Noise, _) | (Drained::Nothing, false) => return None,
                (Drained::Nothing, true) => {
                    if let Ok(mut ready) = self.file.ready().await {
                        ready.clear_ready();
                    }
                }
            }
        }
    }
}

/// Whether an event is a button or a direction that a hand moved.
fn by_hand(event: &[u8], axes: &[Axis]) -> bool {
    let Some([kind0, kind1, code0, code1, value @ ..]) = event.last_chunk::<TAIL>() else { return false };
    let (kind, code) = (u16::from_ne_bytes([*kind0, *kind1]), u16::from_ne_bytes([*code0, *code1]));
    let value = i32::from_ne_bytes(*value);
    match kind {
        EV_KEY => true,
        EV_ABS if (ABS_HAT0X..=ABS_HAT3Y).contains(&code) => value != 0,
        EV_ABS => axes.iter().any(|axis| {
            axis.code == code && i64::from(value).abs_diff(axis.rest.into()) > u64::from(axis.far.unsigned_abs())
        }),
        _ => false,
    }
}

/// What the device says of one of its axes. One that it tells nothing of can't be told from noise.
#[expect(unsafe_code, reason = "no library knows this request")]
fn axis(file: &File, code: u16) -> Option<Axis> {
    let mut about = libc::input_absinfo { value: 0, minimum: 0, maximum: 0, fuzz: 0, flat: 0, resolution: 0 };
    let request = rustix::ioctl::opcode::read::<libc::input_absinfo>(b'E', 0x40 + u8::try_from(code).ok()?);
    // SAFETY: the request reads one `input_absinfo`, which `about` is; the descriptor is open for as long as the call.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), request.into(), &raw mut about) };
    let range = about.maximum.checked_sub(about.minimum)?;
    (answer == 0 && range > 0).then_some(Axis { code, rest: about.value, far: range / 8 })
}

/// What sysfs says of a controller.
struct Name {
    text: String,
    axes: Vec<u16>,
}

/// A device with a controller's buttons and directions; a keyboard that claims to have them all is none, nor is the
/// motion sensor inside a controller.
fn controller(device: &Path) -> Option<Name> {
    let bits = |file: &str| kernel::text(&device.join(file)).map(|text| Bits::parse(&text)).unwrap_or_default();
    let (keys, axes) = (bits("capabilities/key"), bits("capabilities/abs"));
    let buttons = (BTN_JOYSTICK..=BTN_THUMBR).any(|button| keys.has(button));
    let directions = axes.has(0) && axes.has(1) || axes.has(ABS_HAT0X.into());
    let keyboard = (KEY_Q..=KEY_P).all(|key| keys.has(key));
    if !buttons || !directions || keyboard || bits("properties").has(ACCELEROMETER) {
        return None;
    }
    let text = kernel::text(&device.join("name")).unwrap_or_default();
    Some(Name { text, axes: (0..0x40).filter(|axis| axes.has((*axis).into())).collect() })
}

/// A set of numbers as sysfs writes it: machine words in hexadecimal, the highest first.
#[derive(Debug, Default)]
struct Bits(Vec<usize>);

impl Bits {
    fn parse(text: &str) -> Self {
        let words: Result<Vec<_>, _> =
            text.split_whitespace().rev().map(|word| usize::from_str_radix(word, 16)).collect();
        Self(words.unwrap_or_default())
    }

    fn has(&self, bit: u32) -> bool {
        let (word, bit) = (bit / usize::BITS, bit % usize::BITS);
        self.0.get(word as usize).is_some_and(|word| word >> bit & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0; EVENT - TAIL];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_trembling_stick_is_not_a_hand() {
        let axes = [Axis { code: 0, rest: 128, far: 32 }];
        assert!(!by_hand(&event(EV_ABS, 0, 140), &axes) && !by_hand(&event(EV_ABS, 0, 100), &axes));
        assert!(by_hand(&event(EV_ABS, 0, 255), &axes) && by_hand(&event(EV_ABS, 0, 0), &axes));
        assert!(!by_hand(&event(EV_ABS, 5, 255), &axes), "an axis that is not known");
        assert!(by_hand(&event(EV_ABS, 0, i32::MIN), &axes));
    }

    #[test]
    fn buttons_and_hats_are_a_hand() {
        assert!(by_hand(&event(EV_KEY, 0x130, 1), &[]) && by_hand(&event(EV_KEY, 0x130, 0), &[]));
        assert!(by_hand(&event(EV_ABS, ABS_HAT0X, -1), &[]) && !by_hand(&event(EV_ABS, ABS_HAT0X, 0), &[]));
        assert!(!by_hand(&event(0, 0, 0), &[]), "the mark between events");
        assert!(!by_hand(&[1, 0, 1], &[]), "a torn event");
    }

    #[test]
    fn sets_of_bits_are_read_from_their_end() {
        let bits = Bits::parse("7cdb000000000000 0 0 0 0");
        assert!(bits.has(0x130) && bits.has(0x13e) && !bits.has(0x13f) && !bits.has(0) && !bits.has(100_000));
        assert!(!Bits::parse("not hexadecimal").has(0));
    }
}
