//! A computer's warmth: heat flows from the processor into its cooler and from there into the room, and a sensor tells
//! of it late and in steps.
//!
//! Only the four basic operations are used, which IEEE 754 rounds the same way everywhere: so are the plots.

/// What a computer's cooling is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cooling {
    /// Above the room at full load in the end, °C.
    pub(crate) full: f64,
    /// The part of that which is there within moments: from the processor to its cooler.
    pub(crate) quick: f64,
    /// How slowly the cooler follows, seconds.
    pub(crate) seconds: f64,
    /// How late the sensor is, seconds.
    pub(crate) lag: f64,
    /// The sensor's steps, °C.
    pub(crate) step: f64,
    /// The room, °C.
    pub(crate) room: f64,
}

/// A computer's warmth now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Warmth {
    cooling: Cooling,
    /// The cooler above the room, °C.
    cooler: f64,
    /// The processor above its cooler, °C.
    processor: f64,
    sensor: f64,
}

/// Of the processor's own small mass, seconds.
const PROCESSOR_SECONDS: f64 = 1.5;
const STEPS_A_SECOND: u32 = 5;

impl Warmth {
    pub(crate) fn new(cooling: Cooling) -> Self {
        Self { cooling, cooler: 0.0, processor: 0.0, sensor: cooling.room }
    }

    /// One second at a load from 0 to 1.
    pub(crate) fn second(&mut self, load: f64) {
        let it = self.cooling;
        let dt = 1.0 / f64::from(STEPS_A_SECOND);
        let (slow, quick) = (it.full * (1.0 - it.quick), it.full * it.quick);
        for _ in 0..STEPS_A_SECOND {
            self.cooler += (slow * load - self.cooler) * (dt / it.seconds);
            self.processor += (quick * load - self.processor) * (dt / PROCESSOR_SECONDS);
            self.sensor += (self.celsius() - self.sensor) * (dt / (it.lag + dt));
        }
    }

    /// The truth.
    pub(crate) fn celsius(&self) -> f64 {
        self.cooling.room + self.cooler + self.processor
    }

    /// What the sensor tells.
    pub(crate) fn told(&self) -> f32 {
        ((self.sensor / self.cooling.step).floor() * self.cooling.step) as f32
    }

    pub(crate) fn set_room(&mut self, celsius: f64) {
        self.cooling.room = celsius;
    }
}
