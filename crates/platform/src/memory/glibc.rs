//! The C library learns from the first large block that is freed to keep such blocks: up to 64 MiB for each thread that
//! ever ran, for ever. Told both bounds, it does not learn.

/// Bytes.
const KEPT: libc::c_int = 1 << 20;

pub(super) fn keep_little() {
    for bound in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        // SAFETY: sets one number that the allocator looks at; every value of it is sound at every moment. Where it is
        // refused, more is kept.
        unsafe { libc::mallopt(bound, KEPT) };
    }
}
