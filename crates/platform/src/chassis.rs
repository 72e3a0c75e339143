//! What kind of computer this is: one to carry, or one that stays.

#[cfg(target_os = "linux")]
use std::path::Path;

#[cfg(target_os = "linux")]
use crate::patience::{PATIENCE, within};

/// Whether it is a laptop or the like. Where the system does not tell, it is: the careful answer.
#[must_use]
pub fn portable() -> bool {
    #[cfg(target_os = "linux")]
    return within("chassis", PATIENCE, || portable_by(Path::new("/sys/class/dmi/id/chassis_type"))).unwrap_or(true);
    #[cfg(not(target_os = "linux"))]
    true
}

/// By the type that the firmware tells: SMBIOS 3.7, 7.4.1.
#[cfg(target_os = "linux")]
fn portable_by(chassis_type: &Path) -> bool {
    const STAYS: [u32; 15] = [1, 3, 4, 5, 6, 7, 13, 15, 17, 23, 24, 25, 28, 34, 35];
    let told = std::fs::read_to_string(chassis_type).ok().and_then(|text| text.trim().parse().ok());
    told.is_none_or(|kind| !STAYS.contains(&kind))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn towers_and_servers_stay_and_what_is_not_known_is_carried() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chassis_type");
        assert!(portable_by(&file));
        for (kind, carried) in [("3", false), ("23", false), ("10", true), ("31", true), ("garbage", true)] {
            std::fs::write(&file, format!("{kind}\n")).unwrap();
            assert_eq!(portable_by(&file), carried, "{kind}");
        }
    }
}
