//! Prints what this computer's sensors say, a line for each delivery: `sensors IDLE_SECONDS [auto|headless] [PROGRAM…]`.
//! Each line of standard input is an order: `running`, `waiting`, `held`, `idle`, `awake`, `asleep`, or `want` with new
//! arguments. Ends with it. The log goes to standard error. `X11_SOCKETS` says where X servers listen, where that is not
//! their usual folder.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use surge_platform::awake::Awake;
use surge_platform::conditions::{Conditions, Power};
use surge_platform::presence::{Presence, Source, Surroundings};
use surge_platform::sensors::{Pace, Sensors, Wanted};

fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let mut around = Surroundings::here();
    if let Some(folder) = std::env::var_os("X11_SOCKETS") {
        around.x11_sockets = folder.into();
    }
    let (sender, deliveries) = mpsc::channel();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sensors = Sensors::start_in(&around, wanted(arguments.iter().map(String::as_str)), move |conditions| {
        // The receiver lives as long as this program.
        let _ = sender.send(line(&conditions, Instant::now()));
    })?;
    std::thread::spawn(move || {
        let mut out = std::io::stdout();
        for line in deliveries {
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    });
    let mut awake = Awake::default();
    for order in std::io::stdin().lines() {
        let order = order?;
        match order.split_once(' ').unwrap_or((&order, "")) {
            ("running", _) => sensors.pace(Pace::Running),
            ("waiting", _) => sensors.pace(Pace::Waiting),
            ("held", _) => sensors.pace(Pace::Held),
            ("awake", _) => awake.keep(true),
            ("asleep", _) => awake.keep(false),
            ("idle", _) => writeln!(std::io::stdout(), "idle {:?} by {}", sensors.idle(), sensors.source())?,
            ("want", arguments) => sensors.want(wanted(arguments.split(' ')))?,
            _ => {}
        }
    }
    Ok(())
}

fn wanted<'a>(mut arguments: impl Iterator<Item = &'a str>) -> Wanted {
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(180);
    let source = if arguments.next() == Some("headless") { Source::Headless } else { Source::Auto };
    let excluded = arguments.map(str::to_owned).collect();
    Wanted { source, idle_after: Duration::from_secs(seconds), excluded }
}

/// One word `key=value` for each reading, in a fixed order.
fn line(conditions: &Conditions, now: Instant) -> String {
    let Conditions { presence, power, thermal, load, foreground, network, disturbed } = conditions;
    let seat = match &presence.value {
        Presence::IdleSince(_) => "idle".to_owned(),
        Presence::Unknown(why) => format!("unknown({})", why.replace(' ', "_")),
        other => format!("{other:?}").to_lowercase(),
    };
    let supply = match power.value {
        Power::Mains => "mains".to_owned(),
        Power::Battery { percent } => format!("battery({})", number(percent)),
        Power::Unknown => "unknown".to_owned(),
    };
    let warm = &thermal.value;
    let uses: Vec<String> = foreground.value.uses.iter().map(|it| format!("{it:?}").replace(' ', "_")).collect();
    let excluded: Vec<&str> = foreground.value.excluded.iter().map(String::as_str).collect();
    format!(
        "presence={seat} power={supply} celsius={} critical={} frequency={} pressure={} load={} network={:?}/{} \
         uses=[{}] seen={}/{}s excluded=[{}] locked={} lid={} disturbed={}",
        number(warm.celsius),
        number(warm.critical),
        number(warm.frequency),
        number(load.value.memory_pressure),
        load.source,
        network.value,
        network.source,
        uses.join(","),
        foreground.source,
        foreground.age(now).as_secs(),
        excluded.join(","),
        foreground.value.locked,
        foreground.value.lid_shut,
        disturbed.map_or_else(|| "no".to_owned(), |(what, _)| format!("{what:?}")),
    )
}

fn number(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}
