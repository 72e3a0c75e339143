//! Arguments, environment, output, randomness, yielding, and leaving.

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[
    ("args_get-multiple-arguments", arguments),
    ("args_sizes_get-multiple-arguments", arguments),
    ("big_random_buf", big_random_buf),
    ("environ_get-no-variables", no_environment),
    ("environ_sizes_get-no-variables", no_environment),
    ("fd_write-to-invalid-fd", |_| refused(try_write(9_999, b"lost"), &[ERRNO_BADF])),
    ("fd_write-to-stdout", |_| write(1, b"hello\n")),
    ("proc_exit-failure", |_| raw!(proc_exit(33))),
    ("proc_exit-success", |_| raw!(proc_exit(0))),
    ("random_get-non-zero-length", big_random_buf),
    ("random_get-zero-length", |_| raw!(random_get([0; 1].as_mut_ptr(), 0)).expect("random_get")),
    ("sched_yield", |_| raw!(sched_yield()).expect("sched_yield")),
    ("sock_shutdown-invalid_fd", |_| refused(raw!(sock_shutdown(9_999, SDFLAGS_RD)), &[ERRNO_BADF])),
];

fn arguments(_: Fd) {
    let (count, size) = raw!(args_sizes_get()).expect("args_sizes_get");
    let mut texts = vec![0_u8; size];
    let mut list = vec![std::ptr::null_mut::<u8>(); count];
    raw!(args_get(list.as_mut_ptr(), texts.as_mut_ptr())).expect("args_get");
    let texts_at = texts.as_ptr() as usize;
    let seen: Vec<String> = list
        .iter()
        .map(|&at| {
            let from = &texts[at as usize - texts_at..];
            let end = from.iter().position(|&byte| byte == 0).expect("a NUL ends each");
            String::from_utf8(from[..end].to_vec()).expect("text")
        })
        .collect();
    assert_eq!(seen, std::env::args().collect::<Vec<_>>());
    assert_eq!(size, seen.iter().map(|argument| argument.len() + 1).sum());
}

fn big_random_buf(_: Fd) {
    let mut buffer = vec![0; 1_024];
    raw!(random_get(buffer.as_mut_ptr(), buffer.len())).expect("random_get");
    assert!(buffer.iter().any(|&byte| byte != 0));
}

fn no_environment(_: Fd) {
    assert_eq!(raw!(environ_sizes_get()), Ok((0, 0)));
    raw!(environ_get(std::ptr::null_mut(), std::ptr::null_mut())).expect("environ_get");
}
