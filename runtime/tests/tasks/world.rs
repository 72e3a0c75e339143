//! The world that a program sees: its arguments, input, data sets and files, and no way out of it.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use surge_protocol::Outcome::{Done, Exit, Host};
use surge_supervisor::{Finished, Task};

use crate::door::{expect, print, program, program_with, run, wat};

/// Bytes of the in-guest constants that these tests use.
const RIGHTS: &str = "(i64.const -1) (i64.const -1)";

fn data_file(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

/// Opens `path` from the root and leaves with the error number, or 1000 and the descriptor.
fn open(path: &str, how: u32, rights: u64) -> Finished {
    let more = format!("(data (i32.const 1024) \"{path}\")");
    let length = wat_length(path);
    let body = format!(
        "(local.set $n (call $path_open (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const {length}) (i32.const {how})
           (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 16)))
         (if (i32.eqz (local.get $n)) (then (local.set $n (i32.add (i32.const 1000) (i32.load (i32.const 16))))))
         (call $exit (local.get $n))"
    );
    run(wat(&program_with(&more, &body)))
}

/// The length of a string once its `\xx` escapes are bytes.
fn wat_length(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

#[test]
fn arguments_and_input_reach_the_program() {
    let body = format!(
        "(drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
         (drop (call $args_get (i32.const 100) (i32.const 200)))
         (i32.store (i32.const 8) (i32.const 1000)) (i32.store (i32.const 12) (i32.const 500))
         (drop (call $fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 16)))
         {} {} {}",
        print(0, 8),
        print(200, 20),
        print(1_000, 500)
    );
    let task = Task {
        args: vec!["one".into(), String::new(), "zwei ü".into()],
        stdin: vec![b'x'; 300].into(),
        ..wat(&program(&body))
    };
    let finished = run(task);
    expect(&finished, Done, 0);
    assert_eq!(finished.output[..8], [4, 0, 0, 0, 18, 0, 0, 0]);
    assert_eq!(&finished.output[8..28], "task\0one\0\0zwei ü\0\0\0".as_bytes());
    assert_eq!(finished.output[28..328], [b'x'; 300]);
    assert_eq!(finished.output[328..], [0; 200]);
}

/// 66, as the program sees it.
#[test]
fn the_environment_is_empty() {
    let body = format!(
        "(i64.store (i32.const 0) (i64.const -1)) (drop (call $environ_sizes_get (i32.const 0) (i32.const 4))) {}",
        print(0, 8)
    );
    assert_eq!(run(wat(&program(&body))).output, [0; 8]);
}

#[test]
fn data_sets_are_read_where_they_are_named_and_never_written() {
    let read = "(data (i32.const 1024) \"data/numbers\")";
    let body = format!(
        "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 12) (i32.const 0) {RIGHTS} (i32.const 0) (i32.const 16)))"
    );
    // Everything asks for writing too: refused as a read-only file system.
    let refused =
        program_with(read, &format!("(call $exit {})", body.replace("(drop ", "").strip_suffix(')').unwrap()));
    let data = vec![("numbers".into(), data_file(b"0123456789"))];
    expect(&run(Task { data: data.clone(), ..wat(&refused) }), Exit, 69);

    let body = body.replace("(i64.const -1) (i64.const -1)", "(i64.const 2) (i64.const 0)");
    let body = format!(
        "{body} (i32.store (i32.const 0) (i32.const 2000)) (i32.store (i32.const 4) (i32.const 100))
         (drop (call $fd_seek (i32.load (i32.const 16)) (i64.const 3) (i32.const 0) (i32.const 24)))
         (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))) {}",
        print(2_000, 8)
    );
    let finished = run(Task { data, ..wat(&program_with(read, &body)) });
    expect(&finished, Done, 0);
    assert_eq!(finished.output, b"3456789\0");
}

#[test]
fn a_data_set_that_shrinks_while_it_is_used_is_the_hosts_fault() {
    // Announced by its size now; empty when it is read.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[1; 100]).unwrap();
    let file = Arc::new(file);
    let read = "(data (i32.const 1024) \"data/d\")";
    let body = "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 6) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
        (i32.store (i32.const 0) (i32.const 2000)) (i32.store (i32.const 4) (i32.const 100))
        (loop $l (drop (call $fd_seek (i32.load (i32.const 16)) (i64.const 0) (i32.const 0) (i32.const 24)))
          (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))) (br $l))";
    let task = Task { data: vec![("d".into(), Arc::clone(&file))], ..wat(&program_with(read, body)) };
    let running = crate::door::SUPERVISOR.run(task, 1.0);
    crate::door::until(|| {
        let worker = crate::door::SUPERVISOR.workers().into_iter().find(|worker| worker.id == running.id());
        worker.filter(|worker| worker.cpu_ms > 200)
    });
    file.set_len(10).unwrap();
    expect(&running.wait(), Host, "input");
}

/// 32.
#[test]
fn no_path_leads_out() {
    for path in [
        "../etc/passwd",
        "../../../../../../etc/passwd",
        "/etc/passwd",
        "data/../../etc/passwd",
        "/",
        "//",
        "..",
        "data/../..",
        "tmp/./../..",
    ] {
        expect(&open(path, 0, 2), Exit, 63);
    }
    for path in ["etc/passwd", "proc/self/mem", "dev/null", "./etc/passwd", "data/none"] {
        expect(&open(path, 0, 2), Exit, 44);
    }
    // Not UTF-8, with a NUL, empty.
    expect(&open("tmp/\\ff\\fe", 1, 2), Exit, 25);
    expect(&open("tmp/a\\00b", 1, 2), Exit, 28);
    expect(&open("", 0, 2), Exit, 44);
    // Too long, in all and in one name.
    expect(&open(&"x/".repeat(3_000), 0, 2), Exit, 37);
    expect(&open(&format!("tmp/{}", "x".repeat(300)), 1, 2), Exit, 37);
    // A slash makes a directory of it.
    expect(&open("tmp/file/", 1, 66), Exit, 31);
    expect(&open("tmp/", 0, 0), Exit, 1_004);
    expect(&open("tmp/new", 1, 66), Exit, 1_004);
    expect(&open("data/new", 1, 66), Exit, 69);
    expect(&open("new", 1, 66), Exit, 69);
}

/// 33.
#[test]
fn links_do_not_lead_out_either() {
    let link = |target: &str, then: &str| {
        let more = format!(
            "(data (i32.const 1024) \"{target}\") (data (i32.const 2048) \"tmp/l\")  (data (i32.const 2060) \"{then}\")"
        );
        let body = format!(
            "(local.set $n (call $path_symlink (i32.const 1024) (i32.const {}) (i32.const 3) (i32.const 2048) (i32.const 5)))
             (if (local.get $n) (then (call $exit (i32.add (i32.const 500) (local.get $n)))))
             (call $exit (call $path_open (i32.const 3) (i32.const 1) (i32.const 2060) (i32.const {}) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))",
            target.len(),
            then.len()
        );
        run(wat(&program_with(&more, &body)))
    };
    expect(&link("/etc/passwd", "tmp/l"), Exit, 563);
    expect(&link("../../etc/passwd", "tmp/l"), Exit, 63);
    expect(&link("../..", "tmp/l/etc/passwd"), Exit, 63);
    expect(&link("l", "tmp/l"), Exit, 32);
    expect(&link("../data", "tmp/l"), Done, 0);
}

/// 34.
#[test]
fn descriptors_run_out_and_come_back() {
    let more = "(data (i32.const 1024) \"tmp\")";
    let open = "(call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 3) (i32.const 2) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16))";
    let body = format!(
        "(loop $l (if (i32.eqz (local.tee $n {open})) (then (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l))))
         (if (i32.ne (local.get $n) (i32.const 33)) (then unreachable))
         (if (i32.ne (local.get $i) (i32.const 1020)) (then unreachable))
         (drop (call $fd_close (i32.const 500)))
         (if {open} (then unreachable))
         (call $exit (i32.load (i32.const 16)))"
    );
    expect(&run(wat(&program_with(more, &body))), Exit, 500);
}

/// 35.
#[test]
fn standard_streams_and_the_root_can_be_closed_and_moved() {
    let body =
        "(if (call $fd_close (i32.const 3)) (then unreachable))
         (if (i32.ne (call $fd_close (i32.const 3)) (i32.const 8)) (then unreachable))
         (if (i32.ne (call $fd_prestat_get (i32.const 3) (i32.const 0)) (i32.const 8)) (then unreachable))
         (if (i32.ne (call $fd_renumber (i32.const 1) (i32.const 7)) (i32.const 8)) (then unreachable))
         (if (call $fd_renumber (i32.const 1) (i32.const 2)) (then unreachable))
         (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 3))
         (if (i32.ne (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 8)) (then unreachable))
         (if (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))";
    let finished = run(wat(&program(body)));
    expect(&finished, Done, 0);
    assert_eq!((finished.output.len(), finished.log.len()), (3, 0));
}

/// 36.
#[test]
fn files_are_bounded_by_a_quota() {
    let file = |seek: i64, expected: u32| {
        let more = "(data (i32.const 1024) \"tmp/f\")";
        let body = format!(
            "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 1) {RIGHTS} (i32.const 0) (i32.const 16)))
             (i32.store (i32.const 4) (i32.const 200000))
             (drop (call $fd_seek (i32.load (i32.const 16)) (i64.const {seek}) (i32.const 0) (i32.const 24)))
             (loop $l (br_if $l (i32.eqz (local.tee $n (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))))))
             (call $exit (local.get $n))"
        );
        let mut task = wat(&program_with(more, &body));
        task.limits.files_bytes = 20 << 20;
        expect(&run(task), Exit, expected);
    };
    file(0, 51);
    file(1 << 40, 51);
    file(i64::MAX, 51);
}

/// 37.
#[test]
fn tiny_files_and_deep_directories_are_bounded_too() {
    // Each directory is made in the one before: names of one letter, descriptors closed behind.
    let more = "(data (i32.const 1024) \"tmp\") (data (i32.const 1030) \"d\") (global $at (mut i32) (i32.const 0))";
    let body = "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 3) (i32.const 2) (i64.const -67) (i64.const -1) (i32.const 0) (i32.const 16)))
        (global.set $at (i32.load (i32.const 16)))
        (loop $l
          (if (local.tee $n (call $path_create_directory (global.get $at) (i32.const 1030) (i32.const 1))) (then (call $exit (local.get $n))))
          (drop (call $path_open (global.get $at) (i32.const 0) (i32.const 1030) (i32.const 1) (i32.const 2) (i64.const -67) (i64.const -1) (i32.const 0) (i32.const 16)))
          (drop (call $fd_close (global.get $at)))
          (global.set $at (i32.load (i32.const 16)))
          (br $l))";
    let mut task = wat(&program_with(more, body));
    task.limits.files_bytes = 8 << 20;
    expect(&run(task), Exit, 51);
}

/// 40: sleeping moves the clock and nothing else.
#[test]
fn sleeps_are_free_and_polls_are_bounded() {
    let sleep = |nanoseconds: u64| {
        // One subscription: relative, to the monotonic clock.
        let body = format!(
            "(i32.store (i32.const 16) (i32.const 1)) (i64.store (i32.const 24) (i64.const {nanoseconds}))
             (if (call $poll_oneoff (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 300)) (then unreachable))
             (if (i32.ne (i32.load (i32.const 300)) (i32.const 1)) (then unreachable))
             (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 400))) {}",
            print(400, 8)
        );
        let finished = run(wat(&program(&body)));
        expect(&finished, Done, 0);
        u64::from_le_bytes(finished.output.try_into().unwrap())
    };
    assert_eq!(sleep(3_600_000_000_000), 3_600_000_001_000);
    let end_of_time = u64::MAX - 1_767_225_600_000_000_000;
    assert_eq!(sleep(u64::MAX), end_of_time);

    let poll = |count: u32| {
        run(wat(&program(&format!(
            "(call $exit (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const {count}) (i32.const 300)))"
        ))))
    };
    expect(&poll(0), Exit, 28);
    expect(&poll(1_000_000), Exit, 21);
    expect(&poll(u32::MAX), Exit, 21);
}

/// 43, 44: foreign addresses and lengths are refused with an error number, whatever they are.
#[test]
fn addresses_and_lengths_are_checked() {
    let cases: &[(&str, u32)] = &[
        ("(call $random_get (i32.const 0) (i32.const -1))", 21),
        ("(call $random_get (i32.const 262140) (i32.const 5))", 21),
        ("(call $random_get (i32.const -1) (i32.const 1))", 21),
        ("(call $random_get (i32.const 262144) (i32.const 0))", 0),
        ("(call $fd_write (i32.const 1) (i32.const 262140) (i32.const 1) (i32.const 0))", 21),
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 0x80000000) (i32.const 0))", 28),
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1025) (i32.const 0))", 28),
        ("(call $fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const -4))", 21),
        ("(call $fd_read (i32.const 0) (i32.const -8) (i32.const 2) (i32.const 0))", 21),
        ("(call $fd_write (i32.const 99) (i32.const 0) (i32.const 1) (i32.const 0))", 8),
        ("(call $fd_write (i32.const -1) (i32.const 0) (i32.const 1) (i32.const 0))", 8),
        ("(call $fd_write (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0))", 8),
        ("(call $fd_read (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0))", 8),
        ("(call $args_get (i32.const 262143) (i32.const 0))", 21),
        ("(call $clock_time_get (i32.const 4) (i64.const 0) (i32.const 0))", 28),
        ("(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 262137))", 21),
        (
            "(call $path_open (i32.const 3) (i32.const 0) (i32.const 262100) (i32.const 100) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))",
            21,
        ),
        ("(call $fd_seek (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0))", 70),
    ];
    for (call, errno) in cases {
        let finished = run(wat(&program(&format!("(call $exit {call})"))));
        expect(&finished, if *errno == 0 { Done } else { Exit }, *errno);
    }
}

/// 44: buffers that overlap, and the list itself as a buffer.
#[test]
fn overlapping_buffers_are_the_programs_own_affair() {
    let body = format!(
        "(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 8))
         (i32.store (i32.const 8) (i32.const 4)) (i32.store (i32.const 12) (i32.const 8))
         (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 32))) {}",
        print(0, 40)
    );
    let task = Task { stdin: vec![0xff; 16].into(), ..wat(&program(&body)) };
    let (first, second) = (run(task.clone()), run(task));
    expect(&first, Done, 0);
    assert_eq!(first.output, second.output);
}

/// 47.
#[test]
fn sockets_and_signals_are_not_supported() {
    expect(
        &run(wat(&program(
            "(call $exit (call $sock_send (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
        ))),
        Exit,
        58,
    );
    expect(
        &run(wat(&program(
            "(call $exit (call $sock_send (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
        ))),
        Exit,
        8,
    );
    expect(&run(wat(&program("(call $exit (call $proc_raise (i32.const 9)))"))), Exit, 58);
}
