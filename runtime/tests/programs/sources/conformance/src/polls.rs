//! poll_oneoff.

use std::mem::MaybeUninit;

use crate::Case;
use crate::raw::*;

pub const CASES: &[Case] = &[("poll_oneoff_files", poll_oneoff_files), ("poll_oneoff_stdio", poll_oneoff_stdio)];

const TIMEOUT: u64 = 200_000_000;

fn clock(userdata: u64, timeout: u64) -> Subscription {
    let clock = SubscriptionClock { id: CLOCKID_MONOTONIC, timeout, precision: 0, flags: 0 };
    Subscription { userdata, u: SubscriptionU { tag: EVENTTYPE_CLOCK.raw(), u: SubscriptionUU { clock } } }
}

fn readable(userdata: u64, fd: Fd) -> Subscription {
    let fd_read = SubscriptionFdReadwrite { file_descriptor: fd };
    Subscription { userdata, u: SubscriptionU { tag: EVENTTYPE_FD_READ.raw(), u: SubscriptionUU { fd_read } } }
}

fn writable(userdata: u64, fd: Fd) -> Subscription {
    let fd_write = SubscriptionFdReadwrite { file_descriptor: fd };
    Subscription { userdata, u: SubscriptionU { tag: EVENTTYPE_FD_WRITE.raw(), u: SubscriptionUU { fd_write } } }
}

fn try_poll(list: &[Subscription]) -> Result<Vec<Event>, Errno> {
    let mut events = vec![MaybeUninit::<Event>::zeroed(); list.len()];
    let count = raw!(poll_oneoff(list.as_ptr(), events.as_mut_ptr().cast(), list.len()))?;
    // SAFETY: zeroes are an event, and so is what was written over them.
    Ok(events.into_iter().take(count).map(|event| unsafe { event.assume_init() }).collect())
}

fn poll(list: &[Subscription]) -> Vec<Event> {
    try_poll(list).expect("poll_oneoff")
}

fn now() -> u64 {
    raw!(clock_time_get(CLOCKID_MONOTONIC, 1)).expect("clock_time_get")
}

fn poll_oneoff_files(folder: Fd) {
    refused(try_poll(&[]), &[ERRNO_INVAL]);

    // A timeout alone.
    let before = now();
    let events = poll(&[clock(7, TIMEOUT)]);
    assert!(now() - before >= TIMEOUT);
    assert_eq!((events.len(), events[0].userdata), (1, 7));
    assert_eq!((events[0].error, events[0].type_), (ERRNO_SUCCESS, EVENTTYPE_CLOCK));

    // A sleep to a moment, and one to a moment that has passed.
    let mut absolute = clock(8, now() + TIMEOUT);
    absolute.u.u.clock.flags = SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME;
    assert_eq!(poll(&[absolute]).len(), 1);
    let before = now();
    assert_eq!(poll(&[absolute]).len(), 1);
    assert!(now() - before < TIMEOUT);

    // What can't be waited for is an event with an error.
    let events = poll(&[readable(1, 9_999)]);
    assert_eq!((events.len(), events[0].error, events[0].type_), (1, ERRNO_BADF, EVENTTYPE_FD_READ));

    // Files are always ready.
    let fd = new_file(folder, "file");
    write(fd, &[0; 30]);
    seek(fd, 0, WHENCE_SET);
    let mut events = poll(&[readable(1, fd), writable(2, fd), clock(3, TIMEOUT)]);
    events.retain(|event| event.type_ != EVENTTYPE_CLOCK);
    let seen: Vec<_> = events.iter().map(|event| (event.userdata, event.error, event.type_)).collect();
    assert_eq!(seen, [(1, ERRNO_SUCCESS, EVENTTYPE_FD_READ), (2, ERRNO_SUCCESS, EVENTTYPE_FD_WRITE)]);
    assert_eq!(events[0].fd_readwrite.nbytes, 30);

    close(fd);
    let events = poll(&[readable(1, fd), writable(2, fd)]);
    assert!(events.iter().all(|event| event.error == ERRNO_BADF));
    assert_eq!(events.len(), 2);
}

fn poll_oneoff_stdio(_: Fd) {
    let before = now();
    let events = poll(&[clock(1, TIMEOUT), readable(2, 0)]);
    assert!(events.iter().any(|event| event.userdata == 2 && event.error == ERRNO_SUCCESS));
    assert!(now() - before < TIMEOUT, "input is always there, or at its end: nobody waits");
    let events = poll(&[writable(1, 1), writable(2, 2)]);
    let seen: Vec<_> = events.iter().map(|event| (event.userdata, event.error, event.type_)).collect();
    assert_eq!(seen, [(1, ERRNO_SUCCESS, EVENTTYPE_FD_WRITE), (2, ERRNO_SUCCESS, EVENTTYPE_FD_WRITE)]);
}
