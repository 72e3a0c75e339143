//! The C library learns from the first large block that is freed to keep such blocks: up to 64 MiB for each thread that
//! ever ran, for ever. Told both bounds, it does not learn. Pages of the program's own file are given back by what the
//! loader knows of it.

use std::ffi::c_void;

/// Bytes.
const KEPT: libc::c_int = 1 << 20;

/// Heaps that threads share; each has its own free blocks.
const HEAPS: libc::c_int = 2;

pub(super) fn keep_little() {
    for bound in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        tell(bound, KEPT);
    }
}

pub(super) fn share_heaps() {
    tell(libc::M_ARENA_MAX, HEAPS);
}

fn tell(bound: libc::c_int, value: libc::c_int) {
    // SAFETY: sets one number that the allocator looks at; every value of it is sound at every moment. Where it is
    // refused, more is kept.
    unsafe { libc::mallopt(bound, value) };
}

pub(super) fn let_go() {
    // SAFETY: gives free blocks of the heap back to the system; blocks in use are not touched.
    unsafe { libc::malloc_trim(0) };
    // SAFETY: `program_only` is what `dl_iterate_phdr` asks for, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(program_only), std::ptr::null_mut()) };
}

/// Unmaps code and constants of the first object, which is the program itself. The loader's lock is held meanwhile: the
/// object stays where it is.
unsafe extern "C" fn program_only(info: *mut libc::dl_phdr_info, _: libc::size_t, _: *mut c_void) -> libc::c_int {
    const STOP: libc::c_int = 1;
    // SAFETY: the loader passes a description that is valid during this call.
    let info = unsafe { &*info };
    // SAFETY: that many headers are there, and stay for as long as the program runs.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // SAFETY: reads one number of the system.
    let Ok(page) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else { return STOP };
    for (start, length) in headers.iter().filter_map(|header| unwritten(header, page)) {
        let Some(start) = (info.dlpi_addr as usize).checked_add(start) else { continue };
        let start = std::ptr::with_exposed_provenance_mut::<c_void>(start);
        // SAFETY: whole pages of a segment of this program that is not writable, was not before the loader was done with it
        // (what it writes to lies in the writable segment), and has no relocations in its text (which the linker refuses
        // to make for Rust programs). The kernel reads the same bytes back from the file at the next access.
        unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
    }
    STOP
}

/// Where the whole pages of a segment begin, from the program's base, and their length in bytes, if it is loaded and can't
/// be written to.
fn unwritten(header: &libc::Elf64_Phdr, page: usize) -> Option<(usize, usize)> {
    if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
        return None;
    }
    let start = usize::try_from(header.p_vaddr).ok()?.next_multiple_of(page);
    let end = usize::try_from(header.p_vaddr.checked_add(header.p_filesz)?).ok()? / page * page;
    Some((start, end.checked_sub(start)?)).filter(|(_, length)| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u32, at: u64, size: u64) -> libc::Elf64_Phdr {
        libc::Elf64_Phdr {
            p_type: libc::PT_LOAD,
            p_flags: flags,
            p_offset: 0,
            p_vaddr: at,
            p_paddr: 0,
            p_filesz: size,
            p_memsz: size,
            p_align: 4096,
        }
    }

    #[test]
    fn only_whole_pages_that_nobody_can_write_to_go() {
        let code = libc::PF_R | libc::PF_X;
        assert_eq!(unwritten(&header(code, 0x1100, 0x3000), 0x1000), Some((0x2000, 0x2000)));
        assert_eq!(unwritten(&header(libc::PF_R, 0, 0x2fff), 0x1000), Some((0, 0x2000)));
        assert_eq!(unwritten(&header(libc::PF_R | libc::PF_W, 0, 0x3000), 0x1000), None);
        assert_eq!(unwritten(&header(code, 0x1100, 0x100), 0x1000), None);
        assert_eq!(unwritten(&libc::Elf64_Phdr { p_type: libc::PT_DYNAMIC, ..header(code, 0, 0x3000) }, 0x1000), None);
    }

    /// KiB of this program's code that are in memory; they only ever grow by themselves.
    fn code_in_memory() -> u64 {
        let program = std::env::current_exe().expect("a program knows where it is");
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux has it");
        let mut of_code = false;
        let mut sum = 0;
        for line in smaps.lines() {
            if line.contains(" r-xp ") {
                of_code = line.ends_with(&*program.to_string_lossy());
            } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| of_code) {
                sum += size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
                of_code = false;
            }
        }
        sum
    }

    #[test]
    fn code_goes_and_the_program_goes_on() {
        let heap: Vec<u64> = (0..100_000).collect();
        let before = code_in_memory();
        let_go();
        let after = code_in_memory();
        assert!(after < before, "{before} KiB of code before, {after} KiB after");
        assert_eq!(heap.iter().sum::<u64>(), 4_999_950_000);
    }
}
