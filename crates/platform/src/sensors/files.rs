//! What each round reads from files and from the X server: anything that may hang.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::conditions::{Network, Power, Reading, Thermal};
use crate::foreground::{self, Seen};
use crate::load::{Load, LoadMeter};
use crate::patience::{Kind, PATIENCE, Reader, Readers, Store};
use crate::thermal::Thermometer;
use crate::{network, power};

/// Less time than this says nothing about the load.
pub(super) const LOAD_WINDOW: Duration = Duration::from_secs(1);
/// A load that was not measured counts as the highest.
const FULL: Load = Load { cpu_percent: 100.0, available_bytes: 0, memory_pressure: None };
const NETWORK: &str = "network";

/// All that was read, as of the last time that it could be.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) power: Reading<Power>,
    pub(super) thermal: Reading<Thermal>,
    pub(super) load: Reading<Load>,
    pub(super) route: Reading<Network>,
    pub(super) seen: Seen,
    /// The load with what runs at low priority, percent.
    all_percent: f32,
    /// The system does not tell the load.
    load_untold: bool,
}

/// What a round is told.
struct Question {
    foreground: foreground::Question,
    all_percent: f32,
}

/// The readers and what they read.
#[derive(Debug)]
pub(super) struct Files {
    readers: Readers<Question, Board>,
    pub(super) board: Board,
    /// When all that belongs to the foreground was read for the last time.
    pub(super) foreground_at: Instant,
}

impl Files {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let thermal = Thermal { celsius: None, critical: None, frequency: None };
        let board = Board {
            power: Reading::new(Power::Unknown, "none", now),
            thermal: Reading::new(thermal, "none", now),
            load: Reading::new(FULL, "none", now),
            route: Reading::new(Network::Unknown, "none", now),
            seen: Seen::default(),
            all_percent: 0.0,
            load_untold: false,
        };
        type Named = (&'static str, fn() -> Reader<Question, Board>);
        let own: [Named; 4] =
            [("power", power_reader), ("load", load_reader), ("temperature", thermal_reader), (NETWORK, route_reader)];
        let kinds = own.map(|(name, begin)| Kind::new(name, begin)).into_iter().chain(foreground_kinds());
        Self { readers: Readers::new(kinds, PATIENCE), board, foreground_at: now }
    }

    /// Reads all, but what hangs, and what is not `wanted`.
    pub(super) fn read(&mut self, foreground: foreground::Question, wanted: Wanted) {
        let question = Question { foreground, all_percent: self.board.all_percent };
        let wants = |name: &str| match name {
            NETWORK => wanted.route,
            foreground::WINDOWS => wanted.windows,
            _ => true,
        };
        self.readers.read(&Arc::new(question), wants, &mut self.board);
        let of_foreground: BTreeSet<&str> = foreground::kinds().into_iter().map(|(name, _)| name).collect();
        if !self.readers.any_given_up(|name| wants(name) && of_foreground.contains(name)) {
            self.foreground_at = Instant::now();
        }
    }

    /// Whether the load was measured, as far as it can be.
    pub(super) fn load_known(&self) -> bool {
        self.board.load_untold || self.board.load.source != "none" || self.readers.any_given_up(|name| name == "load")
    }
}

/// What need not be read every time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// No service tells what transfers cost.
    pub(super) route: bool,
    /// Somebody may sit at a display.
    pub(super) windows: bool,
}

fn power_reader() -> Reader<Question, Board> {
    Box::new(|_| {
        let power = power::read();
        Box::new(move |board| board.power = power)
    })
}

fn route_reader() -> Reader<Question, Board> {
    Box::new(|_| {
        let route = network::by_route();
        Box::new(move |board| board.route = route)
    })
}

fn thermal_reader() -> Reader<Question, Board> {
    let mut thermometer = None;
    Box::new(move |question| {
        let thermal = thermometer.get_or_insert_with(Thermometer::new).read(question.all_percent);
        Box::new(move |board| board.thermal = thermal)
    })
}

fn load_reader() -> Reader<Question, Board> {
    let mut meter = None;
    let mut measured_at = Instant::now();
    Box::new(move |_| {
        let meter = meter.get_or_insert_with(|| {
            measured_at = Instant::now();
            LoadMeter::new().inspect_err(|error| tracing::warn!(%error, "The load can't be read")).ok()
        });
        match meter {
            None => Box::new(|board| board.load_untold = true),
            Some(meter) if measured_at.elapsed() >= LOAD_WINDOW => {
                measured_at = Instant::now();
                let (load, all_percent) = (Reading::new(meter.read(), "system", measured_at), meter.all_percent());
                Box::new(move |board| (board.load, board.all_percent) = (load, all_percent))
            }
            Some(meter) => memory_alone(meter),
        }
    })
}

/// Too short a time for the processors' load, not for memory.
fn memory_alone(meter: &mut LoadMeter) -> Store<Board> {
    let (available_bytes, memory_pressure) = meter.memory();
    Box::new(move |board| {
        let load = &mut board.load.value;
        (load.available_bytes, load.memory_pressure) = (available_bytes, memory_pressure);
    })
}

/// The foreground's readers, which know a part of question and board.
fn foreground_kinds() -> impl Iterator<Item = Kind<Question, Board>> {
    foreground::kinds().into_iter().map(|(name, begin)| {
        Kind::new(name, move || {
            let mut reader: foreground::FileReader = begin();
            Box::new(move |question: &Question| {
                let store = reader(&question.foreground);
                Box::new(move |board: &mut Board| store(&mut board.seen)) as Store<Board>
            })
        })
    })
}
