//! The world that a program sees: its arguments, input and data sets. (No way out of it: hostile cases 32 to 47.)

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use surge_protocol::Outcome::{Done, Exit, Host};
use surge_supervisor::Task;

use crate::door::{expect, print, program, program_with, run, wat};

/// Bytes of the in-guest constants that these tests use.
const RIGHTS: &str = "(i64.const -1) (i64.const -1)";

fn data_file(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
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
