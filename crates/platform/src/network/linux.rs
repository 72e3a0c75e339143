//! Linux: NetworkManager's word, and where it is not there, whether the default route leads through a modem.

use std::path::Path;

use crate::bus::{self, Asked};
use crate::conditions::Network;
use crate::kernel;

pub(super) const SERVICE: &str = "networkmanager";
pub(super) const SOURCE: &str = "route";

pub(crate) const MANAGER: &str = "org.freedesktop.NetworkManager";
pub(crate) const MANAGER_PATH: &str = "/org/freedesktop/NetworkManager";

/// What NetworkManager says; `None` where there is none.
pub(crate) async fn metered(bus: &zbus::Connection) -> Asked<Option<Network>> {
    let metered = bus::property::<u32>(bus, MANAGER, MANAGER_PATH, MANAGER, "Metered").await?;
    Ok(metered.map(of_manager))
}

/// NMMetered: its guesses count as knowledge, since they come from what a phone says of itself.
const fn of_manager(metered: u32) -> Network {
    match metered {
        1 | 3 => Network::Metered,
        2 | 4 => Network::Free,
        _ => Network::Unknown,
    }
}

/// A modem is metered until somebody says otherwise; nothing else can be told from the route.
pub(super) fn by_route() -> Network {
    let interface = std::fs::read_to_string("/proc/net/route").ok().and_then(|table| default_route(&table));
    let modem = interface.is_some_and(|name| {
        let device = Path::new("/sys/class/net").join(&name).join("uevent");
        let wwan = kernel::text(&device).is_some_and(|text| text.lines().any(|line| line == "DEVTYPE=wwan"));
        wwan || name.starts_with("wwan") || name.starts_with("ppp")
    });
    if modem { Network::Metered } else { Network::Unknown }
}

/// Interface of the default route with the lowest metric.
fn default_route(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, _, _, _, _, metric, mask, ..] = columns[..] else { return None };
        let default = destination == "00000000" && mask == "00000000";
        default.then_some((metric.parse::<u32>().ok()?, interface))
    });
    routes.min().map(|(_, interface)| interface.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        wwan0\t00000000\t0100A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n\
        wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
        eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";

    #[test]
    fn the_way_out_is_the_default_route_with_the_lowest_metric() {
        assert_eq!(default_route(TABLE).as_deref(), Some("wlan0"));
        for table in ["", "Iface\n", "Iface\nwlan0 00000000", "Iface\nwlan0 00000000 0 0 0 0 x 00000000\n"] {
            assert_eq!(default_route(table), None, "{table:?}");
        }
    }

    #[test]
    fn networkmanagers_guesses_count() {
        use Network::{Free, Metered, Unknown};
        assert_eq!([0, 1, 2, 3, 4, 5].map(of_manager), [Unknown, Metered, Free, Metered, Free, Unknown]);
    }
}
