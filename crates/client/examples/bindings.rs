//! Prints the window's TypeScript types: `cargo xtask bindings` writes them to `ui/src/lib/bindings.ts`.
//!
//! Deliberately absent: types of the engine's inside, and hand-written TypeScript.

use std::io::{self, Write};

use surge_client::view::{
    Case, Command, Earnings, MachineView, Measure, NetworkView, PresenceView, Reason, ReasonCode, SensorView,
    SettingSource, SettingView, Snapshot, State, UnattachedView, Unit, WorkerView,
};
use ts_rs::{Config, TS};

fn main() -> io::Result<()> {
    let config = Config::new();
    let types = [
        declared::<State>(&config),
        declared::<ReasonCode>(&config),
        declared::<Case>(&config),
        declared::<Unit>(&config),
        declared::<Measure>(&config),
        declared::<Reason>(&config),
        declared::<PresenceView>(&config),
        declared::<SensorView>(&config),
        declared::<MachineView>(&config),
        declared::<WorkerView>(&config),
        declared::<Earnings>(&config),
        declared::<NetworkView>(&config),
        declared::<UnattachedView>(&config),
        declared::<SettingSource>(&config),
        declared::<SettingView>(&config),
        declared::<Snapshot>(&config),
        declared::<Command>(&config),
    ];
    let head = "// Generated from crates/client/src/view.rs by `cargo xtask bindings`.";
    write!(io::stdout(), "{head}\n\n{}", types.join("\n"))
}

fn declared<T: TS>(config: &Config) -> String {
    let docs = T::docs().unwrap_or_default();
    format!("{docs}export {}\n", T::decl(config))
}
