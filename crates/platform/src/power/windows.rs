//! Windows: GetSystemPowerStatus. Not yet run there.

use windows_sys::Win32::System::Power::{GetSystemPowerStatus, SYSTEM_POWER_STATUS};

use crate::conditions::Power;

pub(super) const SOURCE: &str = "windows";

/// From winbase.h.
const OFFLINE: u8 = 0;
const ONLINE: u8 = 1;

pub(super) fn read() -> Power {
    let mut status = SYSTEM_POWER_STATUS::default();
    // SAFETY: the call writes one SYSTEM_POWER_STATUS, which `status` is.
    if unsafe { GetSystemPowerStatus(&raw mut status) } == 0 {
        return Power::Unknown;
    }
    match status.ACLineStatus {
        ONLINE => Power::Mains,
        OFFLINE => Power::Battery { percent: (status.BatteryLifePercent <= 100).then_some(status.BatteryLifePercent) },
        _ => Power::Unknown,
    }
}
