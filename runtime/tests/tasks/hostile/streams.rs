//! What goes in and out of a program: floods, endless waits, and addresses and lengths that are none.

use surge_supervisor::{Finished, Task};

use super::case::Run::Tasks;
use super::case::{Case, Try};
use crate::door::print;

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 38,
        tries: "output without end",
        ends: &["limit/output", "done/0"],
        note: "exactly what is allowed is kept, so that this ending may vote",
        run: Tasks(|| {
            let flood = |limit: u64| {
                Try::body(&format!("(loop $l {} (br $l))", print(0, 60_001)))
                    .given(|task| task.limits.output_bytes = limit)
                    .holds(|finished| assert!(finished.outcome.votes(&finished.code)))
            };
            let writes = |bytes| Try::body(&print(0, bytes)).given(|task| task.limits.output_bytes = 1_000);
            vec![
                flood(1_000_000).holds(|finished| assert_eq!(finished.output.len(), 1_000_000)),
                flood(16 << 20).holds(|finished| assert_eq!(finished.output.len(), 16 << 20)),
                writes(1_001).holds(|finished| assert_eq!(finished.output.len(), 1_000)),
                writes(1_000).ends("done/0"),
            ]
        }),
    },
    Case {
        number: 39,
        tries: "a log without end, with terminal control sequences",
        ends: &["done/0"],
        note: "what is too much is dropped and the program goes on; `surge task run` makes it harmless on a terminal (`crates/cli/src/task/show.rs`)",
        run: Tasks(|| {
            let more = r#"(data (i32.const 100) "\1b]0;owned\07\1b[2J\ff")"#;
            let flood = "(i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 60000))
                (loop $l (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
                  (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))";
            vec![Try::with(more, flood).given(|task| task.limits.log_bytes = 100_000).holds(|finished| {
                assert_eq!(finished.log.len(), 100_000);
                assert!(finished.log.starts_with(b"\x1b]0;owned\x07\x1b[2J\xff"));
            })]
        }),
    },
    Case {
        number: 40,
        tries: "sleeping for 584 years; waiting for nothing, for a million things",
        ends: &["done/0", "exit/28", "exit/21"],
        note: "the virtual clock moves, nobody waits; EINVAL (28), EFAULT (21); also *wasi*",
        run: Tasks(|| {
            let sleep = |nanoseconds: u64| {
                // One subscription: relative, to the monotonic clock.
                let body = format!(
                    "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const {nanoseconds}))
                     (if (call $poll_oneoff (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 300)) (then unreachable))
                     (if (i32.ne (i32.load (i32.const 300)) (i32.const 1)) (then unreachable))
                     (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 400))) {}",
                    print(400, 8)
                );
                Try::body(&body)
            };
            let poll = |count: u32, ends| {
                let call =
                    format!("(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const {count}) (i32.const 300))");
                Try::body(&format!("(call $exit {call})")).ends(ends)
            };
            vec![
                sleep(3_600_000_000_000)
                    .holds(|finished| assert_eq!(finished.output, 3_600_000_001_000_u64.to_le_bytes())),
                // To the end of time as 64 bits of nanoseconds since 1970 have it.
                sleep(u64::MAX).holds(|finished| {
                    assert_eq!(finished.output, (u64::MAX - 1_767_225_600_000_000_000).to_le_bytes());
                }),
                poll(0, "exit/28"),
                poll(1_000_000, "exit/21"),
                poll(u32::MAX, "exit/21"),
            ]
        }),
    },
    Case {
        number: 43,
        tries: "4 GiB of random numbers; lengths beyond the end of memory",
        ends: &["exit/21", "done/0"],
        note: "EFAULT (21)",
        run: Tasks(|| {
            refusals(&[
                ("(call $random_get (i32.const 0) (i32.const -1))", "exit/21"),
                ("(call $random_get (i32.const 262140) (i32.const 5))", "exit/21"),
                ("(call $random_get (i32.const -1) (i32.const 1))", "exit/21"),
                ("(call $random_get (i32.const 262144) (i32.const 0))", "done/0"),
                ("(call $random_get (i32.const 0) (i32.const 262144))", "done/0"),
            ])
        }),
    },
    Case {
        number: 44,
        tries: "lists of buffers outside memory, of 2^31 entries, over each other; descriptors and addresses that are none",
        ends: &["exit/21", "exit/28", "exit/8", "exit/70", "done/0"],
        note: "EFAULT (21), EINVAL (28), EBADF (8), ESPIPE (70); a call that fails has done nothing, not even for the buffers before the one outside; buffers that overlap are the program's own affair; also *wasi*",
        run: Tasks(|| {
            let mut tries = refusals(&[
                ("(call $fd_write (i32.const 1) (i32.const 262140) (i32.const 1) (i32.const 0))", "exit/21"),
                ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 0x80000000) (i32.const 0))", "exit/28"),
                ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1025) (i32.const 0))", "exit/28"),
                ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const -4))", "exit/21"),
                ("(call $fd_read (i32.const 0) (i32.const -8) (i32.const 2) (i32.const 0))", "exit/21"),
                ("(call $fd_write (i32.const 99) (i32.const 0) (i32.const 1) (i32.const 0))", "exit/8"),
                ("(call $fd_write (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 0))", "exit/8"),
                ("(call $fd_write (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))", "exit/8"),
                ("(call $fd_read (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0))", "exit/8"),
                ("(call $args_get (i32.const 262143) (i32.const 0))", "exit/21"),
                ("(call $clock_time_get (i32.const 4) (i64.const 0) (i32.const 0))", "exit/28"),
                ("(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 262137))", "exit/21"),
                (
                    "(call $path_open (i32.const 3) (i32.const 0) (i32.const 262100) (i32.const 100) (i32.const 0)
                       (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))",
                    "exit/21",
                ),
                ("(call $fd_seek (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0))", "exit/70"),
            ]);
            // A sound buffer, then one outside: the sound one is not written either.
            for stream in [1, 2] {
                let half = format!(
                    "(i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 2))
                     (i32.store (i32.const 8) (i32.const -16)) (i32.store (i32.const 12) (i32.const 64))
                     (call $exit (call $fd_write (i32.const {stream}) (i32.const 0) (i32.const 2) (i32.const 32)))"
                );
                let nothing = |finished: &Finished| assert!(finished.output.is_empty() && finished.log.is_empty());
                tries.push(Try::body(&half).ends("exit/21").holds(nothing));
            }
            // The list itself is a buffer, and two buffers are one.
            let overlapping = format!(
                "(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 8))
                 (i32.store (i32.const 8) (i32.const 4)) (i32.store (i32.const 12) (i32.const 8))
                 (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 32))) {}",
                print(0, 40)
            );
            let input = |task: &mut Task| task.stdin = vec![0xff; 16].into();
            tries.push(Try::body(&overlapping).ends("done/0").given(input));
            tries
        }),
    },
];

/// Programs that leave with the error number of one call.
fn refusals(calls: &[(&str, &'static str)]) -> Vec<Try> {
    calls.iter().map(|(call, ends)| Try::body(&format!("(call $exit {call})")).ends(ends)).collect()
}
