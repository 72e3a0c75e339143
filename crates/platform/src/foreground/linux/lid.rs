//! The lid, by the kernel's ACPI button driver.

use std::fs;

const LIDS: &str = "/proc/acpi/button/lid";

/// Whether a lid is shut; `None` without one that the kernel tells of.
pub(super) fn shut() -> Option<bool> {
    let states = fs::read_dir(LIDS).ok()?.flatten().filter_map(|lid| fs::read_to_string(lid.path().join("state")).ok());
    states.filter_map(|text| closed(&text)).reduce(|one, other| one || other)
}

fn closed(text: &str) -> Option<bool> {
    match text.split_whitespace().last()? {
        "closed" => Some(true),
        "open" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lid_is_open_or_closed_or_unknown() {
        assert_eq!(closed("state:      open\n"), Some(false));
        assert_eq!(closed("state:      closed\n"), Some(true));
        assert_eq!([closed("state:      unsupported\n"), closed("")], [None, None]);
    }
}
