//! The C library learns from the first large block that is freed to keep such blocks: up to 64 MiB for each thread that
//! ever ran, for ever. Told both bounds, it does not learn.

use std::ffi::c_void;

/// Bytes.
const KEPT: libc::c_int = 1 << 20;

pub(super) fn keep_little() {
    for bound in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: sets one number that the allocator looks at; every value of it is sound at every moment. Where it is
        // refused, more is kept.
        unsafe { libc::mallopt(bound, KEPT) };
    }
}

pub(super) fn let_go() {
    // SAFETY: gives free blocks of the heap back to the system; blocks in use are not touched.
    unsafe { libc::malloc_trim(0) };
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, length) in maps.lines().filter_map(of_a_file) {
        let start = std::ptr::with_exposed_provenance_mut::<c_void>(start);
        // SAFETY: the pages are those of a file, and nobody can have changed them: what the kernel reads back from the
        // file at the next access is what was there before.
        unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
    }
}

/// Start and length in bytes of a mapping that is as its file has it, from its line in `/proc/self/maps`: code, and the
/// constants at the beginning of a program's file. What the linker wrote to before it was protected comes after the code,
/// and looks like constants.
fn of_a_file(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (range, rights, offset) = (words.next()?, words.next()?, words.next()?);
    let (_device, inode) = (words.next()?, words.next()?);
    let constants = rights == "r--p" && offset.bytes().all(|digit| digit == b'0');
    if (rights != "r-xp" && !constants) || inode == "0" {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_to_is_as_its_file_has_it() {
        for line in [
            "55d0-57d0 r-xp 00510000 fd:00 1234                     /usr/bin/surge",
            "55d0-57d0 r--p 00000000 fd:00 1234                     /usr/bin/surge",
        ] {
            assert_eq!(of_a_file(line), Some((0x55d0, 0x200)), "{line}");
        }
        for other in [
            "55d0-57d0 rwxp 00510000 fd:00 1234 /usr/bin/surge",
            "55d0-57d0 r--p 00510000 fd:00 1234 /usr/bin/surge",
            "55d0-57d0 rw-p 00000000 fd:00 1234 /usr/bin/surge",
            "55d0-57d0 r--p 00000000 00:00 0",
            "55d0-57d0 r-xp 00000000 00:00 0 [vdso]",
            "55d0-57d0 r-xp 00000000 00:00 0",
            "nonsense",
        ] {
            assert_eq!(of_a_file(other), None, "{other}");
        }
    }

    #[test]
    fn a_program_goes_on_after_it_let_go() {
        let heap: Vec<u64> = (0..100_000).collect();
        let resident = || {
            let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux has it");
            let line = smaps.lines().find_map(|line| line.strip_prefix("Rss:")).expect("it has its size");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
        };
        // Other tests of this process take memory meanwhile.
        let went = (0..1_000).any(|_| {
            let before = resident();
            let_go();
            resident() < before
        });
        assert!(went, "nothing ever went");
        assert_eq!(heap.iter().sum::<u64>(), 4_999_950_000);
    }
}
