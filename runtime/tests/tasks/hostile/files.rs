//! Paths, links, descriptors and quotas: no way out of the file system in memory, and no more of it than allowed.

use std::fmt::Write;
use std::path::Path;

use surge_supervisor::Finished;

use super::case::Run::{Act, Tasks};
use super::case::{Case, Try};
use super::stand::Stand;
use crate::door::{program_with, wait_for_in, wat};

/// Every right that a program can ask for.
const RIGHTS: &str = "(i64.const -1) (i64.const -1)";

pub(crate) const CASES: &[Case] = &[
    Case {
        number: 32,
        tries: "paths that lead out: `../../etc/passwd`, `/etc/passwd`, trailing slashes, 64 kB, no UTF-8",
        ends: &["exit/63", "exit/44", "exit/25", "exit/28", "exit/37", "exit/31", "exit/69", "exit/54"],
        note: "EPERM (63) where a path leads out of the root; no path names a file of the machine; also *fs*",
        run: Tasks(paths),
    },
    Case {
        number: 33,
        tries: "symbolic links that lead out, or in a circle",
        ends: &["exit/63", "exit/563", "exit/32", "done/0"],
        note: "an absolute link can't be made (500 + EPERM), a relative one leads nowhere outside; a good one works",
        run: Tasks(|| {
            vec![
                link("/etc/passwd", "tmp/l").ends("exit/563"),
                link("../../etc/passwd", "tmp/l"),
                link("../..", "tmp/l/etc/passwd"),
                link("l", "tmp/l").ends("exit/32"),
                link("../data", "tmp/l").ends("done/0"),
            ]
        }),
    },
    Case {
        number: 34,
        tries: "opening a million descriptors",
        ends: &["exit/500"],
        note: "EMFILE after 1,024; a closed one is there again",
        run: Tasks(|| {
            let more = "(data (i32.const 1024) \"tmp\")";
            let open = "(call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 3) (i32.const 2)
                (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16))";
            let body = format!(
                "(loop $l (if (i32.eqz (local.tee $n {open})) (then (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l))))
                 (if (i32.ne (local.get $n) (i32.const 33)) (then unreachable))
                 (if (i32.ne (local.get $i) (i32.const 1020)) (then unreachable))
                 (drop (call $fd_close (i32.const 500)))
                 (if {open} (then unreachable))
                 (call $exit (i32.load (i32.const 16)))"
            );
            vec![Try::with(more, &body)]
        }),
    },
    Case {
        number: 35,
        tries: "closing and moving the root and the standard streams",
        ends: &["done/0"],
        note: "they are the program's own",
        run: Tasks(|| {
            let body = "(if (call $fd_close (i32.const 3)) (then unreachable))
                (if (i32.ne (call $fd_close (i32.const 3)) (i32.const 8)) (then unreachable))
                (if (i32.ne (call $fd_prestat_get (i32.const 3) (i32.const 0)) (i32.const 8)) (then unreachable))
                (if (i32.ne (call $fd_renumber (i32.const 1) (i32.const 7)) (i32.const 8)) (then unreachable))
                (if (call $fd_renumber (i32.const 1) (i32.const 2)) (then unreachable))
                (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 3))
                (if (i32.ne (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 8)) (then unreachable))
                (if (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))";
            let closed = |finished: &Finished| assert_eq!((finished.output.len(), finished.log.len()), (3, 0));
            vec![Try::body(body).holds(closed)]
        }),
    },
    Case {
        number: 36,
        tries: "a file without end; one byte at 2^40 or 2^63",
        ends: &["exit/51"],
        note: "ENOSPC (51) at the quota of files",
        run: Tasks(|| [0, 1 << 40, i64::MAX].map(growing_file).into()),
    },
    Case {
        number: 37,
        tries: "endless tiny files, and folders in each other",
        ends: &["exit/51"],
        note: "names and the files themselves count",
        run: Tasks(|| vec![tiny_files(), deep_folders()]),
    },
    Case {
        number: 69,
        tries: "reading another task's files",
        ends: &["host/killed", "exit/44"],
        note: "ENOENT (44), while the other has them and after it: they are in the memory of one process",
        run: Act(another_tasks_files),
    },
];

/// Opens `path` from the root and leaves with the error number, or 1000 and the descriptor.
fn open(path: &str, how: u32, rights: u64) -> Try {
    let more = format!("(data (i32.const 1024) \"{}\")", path);
    // Each `\xx` is one byte.
    let length = path.len() - 2 * path.matches('\\').count();
    let body = format!(
        "(local.set $n (call $path_open (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const {length}) (i32.const {how})
           (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 16)))
         (if (i32.eqz (local.get $n)) (then (local.set $n (i32.add (i32.const 1000) (i32.load (i32.const 16))))))
         (call $exit (local.get $n))"
    );
    Try::with(&more, &body)
}

fn paths() -> Vec<Try> {
    let out = [
        "../etc/passwd",
        "../../../../../../etc/passwd",
        "/etc/passwd",
        "data/../../etc/passwd",
        "tmp/../../x",
        "/",
        "//",
        "..",
        "data/../..",
        "tmp/./../..",
    ];
    let nowhere = ["etc/passwd", "proc/self/mem", "dev/null", "./etc/passwd", "data/none", ""];
    let mut tries: Vec<Try> = out.map(|path| open(path, 0, 2)).into();
    tries.extend(nowhere.map(|path| open(path, 0, 2).ends("exit/44")));
    let (create, write) = (1, 66);
    tries.extend([
        open("tmp/\\ff\\fe", create, 2).ends("exit/25"),
        open("tmp/a\\00b", create, 2).ends("exit/28"),
        open(&"x/".repeat(32_000), 0, 2).ends("exit/37"),
        open(&format!("tmp/{}", "x".repeat(300)), create, 2).ends("exit/37"),
        // A slash makes a folder of it.
        open("tmp/file/", create, write).ends("exit/31"),
        open("data/new", create, write).ends("exit/69"),
        open("new", create, write).ends("exit/69"),
        // Something can be created, but not below a file.
        after_a_file("tmp/file/x").ends("exit/54"),
    ]);
    tries
}

/// Creates `tmp/file` and opens `path` then.
fn after_a_file(path: &str) -> Try {
    let more = format!("(data (i32.const 1024) \"tmp/file\") (data (i32.const 2048) \"{path}\")");
    let call = |at: u32, length: usize| {
        format!(
            "(call $path_open (i32.const 3) (i32.const 0) (i32.const {at}) (i32.const {length}) (i32.const 1)
              (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 16))"
        )
    };
    let body = format!("(if {} (then unreachable)) (call $exit {})", call(1024, 8), call(2048, path.len()));
    Try::with(&more, &body)
}

fn link(target: &str, then: &str) -> Try {
    let more = format!(
        "(data (i32.const 1024) \"{target}\") (data (i32.const 2048) \"tmp/l\")  (data (i32.const 2060) \"{then}\")"
    );
    let body = format!(
        "(local.set $n (call $path_symlink (i32.const 1024) (i32.const {}) (i32.const 3) (i32.const 2048) (i32.const 5)))
         (if (local.get $n) (then (call $exit (i32.add (i32.const 500) (local.get $n)))))
         (call $exit (call $path_open (i32.const 3) (i32.const 1) (i32.const 2060) (i32.const {}) (i32.const 0) (i64.const 2)
           (i64.const 0) (i32.const 0) (i32.const 16)))",
        target.len(),
        then.len()
    );
    Try::with(&more, &body)
}

fn growing_file(seek: i64) -> Try {
    let more = "(data (i32.const 1024) \"tmp/f\")";
    let body = format!(
        "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 5) (i32.const 1) {RIGHTS} (i32.const 0) (i32.const 16)))
         (i32.store (i32.const 4) (i32.const 200000))
         (drop (call $fd_seek (i32.load (i32.const 16)) (i64.const {seek}) (i32.const 0) (i32.const 24)))
         (loop $l (br_if $l (i32.eqz (local.tee $n (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))))))
         (call $exit (local.get $n))"
    );
    Try::with(more, &body).given(|task| task.limits.files_bytes = 20 << 20)
}

/// Files of no byte, each under a name of four letters that count.
fn tiny_files() -> Try {
    let more = "(data (i32.const 1024) \"tmp/aaaa\")";
    let mut name = String::new();
    for (at, shift) in [(1028, 0), (1029, 4), (1030, 8), (1031, 12), (1032, 16)] {
        write!(
            name,
            "(i32.store8 (i32.const {at}) (i32.add (i32.const 97)
               (i32.and (i32.shr_u (local.get $i) (i32.const {shift})) (i32.const 15))))"
        )
        .unwrap();
    }
    let body = format!(
        "(loop $l {name}
           (if (local.tee $n (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const 1)
             {RIGHTS} (i32.const 0) (i32.const 16))) (then (call $exit (local.get $n))))
           (drop (call $fd_close (i32.load (i32.const 16))))
           (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))"
    );
    Try::with(more, &body).given(|task| task.limits.files_bytes = 8 << 20)
}

/// Each folder is made in the one before: names of one letter, descriptors closed behind.
fn deep_folders() -> Try {
    let more = "(data (i32.const 1024) \"tmp\") (data (i32.const 1030) \"d\") (global $at (mut i32) (i32.const 0))";
    let body = "(drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 3) (i32.const 2) (i64.const -67) (i64.const -1) (i32.const 0) (i32.const 16)))
        (global.set $at (i32.load (i32.const 16)))
        (loop $l
          (if (local.tee $n (call $path_create_directory (global.get $at) (i32.const 1030) (i32.const 1))) (then (call $exit (local.get $n))))
          (drop (call $path_open (global.get $at) (i32.const 0) (i32.const 1030) (i32.const 1) (i32.const 2) (i64.const -67) (i64.const -1) (i32.const 0) (i32.const 16)))
          (drop (call $fd_close (global.get $at)))
          (global.set $at (i32.load (i32.const 16)))
          (br $l))";
    Try::with(more, body).given(|task| task.limits.files_bytes = 8 << 20)
}

/// One task keeps a file and says so; others look for it meanwhile and afterwards.
fn another_tasks_files(stand: &Stand) -> Vec<Finished> {
    let more = "(data (i32.const 1024) \"tmp/secret\")";
    let open = |how: u32| {
        format!(
            "(call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 10) (i32.const {how})
              (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 16))"
        )
    };
    let keep = format!(
        "(if {} (then unreachable)) (i32.store (i32.const 4) (i32.const 1))
         (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (loop $l (br $l))",
        open(1)
    );
    let look = || wat(&program_with(more, &format!("(call $exit {})", open(0))));
    let (said, written) = std::sync::mpsc::channel();
    // The log says when the file is there.
    let keeper = stand.supervisor.run_logged(wat(&program_with(more, &keep)), 1.0, move |_| said.send(()).unwrap());
    written.recv().unwrap();
    let meanwhile = stand.run(look());
    let pid = wait_for_in(&stand.supervisor, keeper.id()).pid;
    stand.supervisor.kill(keeper.id());
    let kept = keeper.wait();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    vec![kept, meanwhile, stand.run(look())]
}
