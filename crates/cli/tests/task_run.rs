//! `surge task run` as a job's author meets it: files in, result, log, report and exit status out.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// The worker beside `surge`. It belongs to another package, so that it may have to be built first.
static WORKER: LazyLock<PathBuf> = LazyLock::new(|| {
    let worker = Path::new(env!("CARGO_BIN_EXE_surge")).with_file_name("surge-worker");
    if !worker.is_file() {
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "surge-runtime"]).status().unwrap();
        assert!(built.success() && worker.is_file(), "surge-worker could not be built");
    }
    worker
});

struct Desk {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
}

struct Ran {
    status: i32,
    stdout: Vec<u8>,
    stderr: String,
}

impl Ran {
    fn report(&self) -> Value {
        serde_json::from_str(self.stderr.lines().last().unwrap())
            .unwrap_or_else(|error| panic!("{error}: {}", self.stderr))
    }
}

impl Ran {
    /// The code of the failure that `--json` told on standard output.
    fn failure(&self) -> String {
        let document: Value =
            serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stderr));
        let code = document["error"]["code"].as_str().unwrap().to_owned();
        assert!(self.stderr.ends_with(&format!(" [{code}]\n")), "{}", self.stderr);
        code
    }
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), home: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.folder.path().join(name), bytes).unwrap();
        self.path(name)
    }

    fn module(&self, body: &str) -> String {
        let text = format!(
            "(module
              (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"random_get\" (func $random (param i32 i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"args_sizes_get\" (func $args (param i32 i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"path_open\"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
              (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
              (memory (export \"memory\") 2)
              (data (i32.const 1000) \"hello\") (data (i32.const 1100) \"\\1b[31mred\\n\") (data (i32.const 1200) \"data/set\")
              (func $say (param i32 i32 i32)
                (i32.store (i32.const 0) (local.get 1)) (i32.store (i32.const 4) (local.get 2))
                (drop (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8))))
              (func $copy (param i32) (loop $l
                (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 65536))
                (drop (call $read (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (if (i32.load (i32.const 8)) (then (call $say (i32.const 1) (i32.const 65536) (i32.load (i32.const 8))) (br $l)))))
              (func (export \"_start\") {body}))"
        );
        self.file("module.wasm", &wat::parse_str(&text).unwrap())
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, |command| command)
    }

    fn run_with(&self, args: &[&str], with: impl FnOnce(&mut Command) -> &mut Command) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_surge"));
        command.args(["task", "run"]).args(args).stdin(Stdio::null());
        command.env("SURGE_WORKER", &*WORKER).env("SURGE_HOME", self.home.path());
        let Output { status, stdout, stderr } = with(&mut command).output().unwrap();
        Ran { status: status.code().unwrap(), stdout, stderr: String::from_utf8(stderr).unwrap() }
    }
}

#[test]
fn the_result_goes_to_standard_output_and_the_report_to_the_last_line_of_standard_error() {
    let desk = Desk::new();
    let module = desk.module("(call $say (i32.const 1) (i32.const 1000) (i32.const 5)) (call $say (i32.const 2) (i32.const 1100) (i32.const 9))");
    let ran = desk.run(&[&module, "--json"]);
    assert_eq!((ran.status, ran.stdout.as_slice()), (0, &b"hello"[..]));
    assert!(ran.stderr.starts_with("\x1b[31mred\n{"), "a pipe gets the log as it is: {:?}", ran.stderr);
    let report = ran.report();
    assert_eq!((&report["outcome"], &report["code"]), (&"done".into(), &0.into()));
    assert_eq!(
        (&report["fuel"], &report["output_bytes"], &report["peak_memory_bytes"]),
        (&0.into(), &5.into(), &131_072.into())
    );
    assert_eq!(report["digest"].as_str().unwrap().len(), 64);
    for key in ["cpu_ms", "wall_ms", "started_after_ms", "runtime_class", "detail"] {
        assert!(!report[key].is_null(), "{key}");
    }
    let silent = desk.run(&[&module]);
    assert_eq!(silent.stderr, "\x1b[31mred\n");
}

#[test]
fn each_outcome_has_its_exit_status() {
    let desk = Desk::new();
    let cases: &[(&str, &[&str], i32, &str, Value)] = &[
        ("", &[], 0, "done", 0.into()),
        ("(call $exit (i32.const 42))", &[], 3, "exit", 42.into()),
        ("unreachable", &[], 4, "trap", "unreachable".into()),
        ("(loop $l (br $l))", &["--cpu-seconds", "1"], 5, "limit", "cpu".into()),
        ("(loop $l (br $l))", &["--wall-seconds", "1"], 5, "limit", "wall".into()),
        (
            "(loop $l (call $say (i32.const 1) (i32.const 0) (i32.const 100000)) (br $l))",
            &["--output-mib", "1"],
            5,
            "limit",
            "output".into(),
        ),
        ("(loop $l (br $l))", &["--meter", "fuel", "--fuel-budget", "1000"], 5, "limit", "fuel".into()),
    ];
    for (body, options, status, outcome, code) in cases {
        let module = desk.module(body);
        let ran = desk.run(&[&[module.as_str(), "--json"], *options].concat());
        let report = ran.report();
        assert_eq!(
            (ran.status, &report["outcome"], &report["code"]),
            (*status, &Value::from(*outcome), code),
            "{}",
            ran.stderr
        );
        let words = desk.run(&[&[module.as_str()], *options].concat());
        assert_eq!(words.status, *status);
        assert_eq!(words.stderr.is_empty(), *outcome == "done", "{}", words.stderr);
    }
    let text = desk.file("text.wat", b"(module)");
    let ran = desk.run(&[&text, "--json"]);
    assert_eq!((ran.status, ran.report()["code"].as_str()), (6, Some("not_wasm")));
}

#[test]
fn arguments_input_data_and_seed_reach_the_program() {
    let desk = Desk::new();
    let input = desk.file("input", &vec![b'i'; 200_000]);
    let module = desk.module("(call $copy (i32.const 0))");
    assert_eq!(desk.run(&[&module, "--stdin", &input]).stdout, vec![b'i'; 200_000]);
    let piped = desk.run_with(&[&module, "--stdin", "-"], |command| command.stdin(fs::File::open(&input).unwrap()));
    assert_eq!(piped.stdout.len(), 200_000);

    let set = desk.file("anything", b"the data");
    let module = desk.module(
        "(drop (call $open (i32.const 3) (i32.const 0) (i32.const 1200) (i32.const 8) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
         (call $copy (i32.load (i32.const 16)))",
    );
    assert_eq!(desk.run(&[&module, "--data", &format!("set={set}")]).stdout, b"the data");

    let module =
        desk.module("(drop (call $args (i32.const 16) (i32.const 20))) (call $exit (i32.load (i32.const 16)))");
    assert_eq!(desk.run(&[&module, "--arg", "-x", "--arg", "", "--json"]).report()["code"], 3);

    let module = desk.module(
        "(drop (call $random (i32.const 16) (i32.const 8))) (call $say (i32.const 1) (i32.const 16) (i32.const 8))",
    );
    let draw = |seed| desk.run(&[&module, "--seed", seed]).stdout;
    assert_eq!(draw("5"), draw("5"));
    assert_ne!(draw("5"), draw("6"));
}

#[test]
fn the_result_is_written_whole_or_not_at_all() {
    let desk = Desk::new();
    let module = desk.module("(call $say (i32.const 1) (i32.const 1000) (i32.const 5))");
    let out = desk.file("out", b"what was there before and is longer");
    let ran = desk.run(&[&module, "--out", &out]);
    assert_eq!((ran.status, ran.stdout.len(), fs::read(&out).unwrap().as_slice()), (0, 0, &b"hello"[..]));
    let names: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");

    // A pipe or device is written to, a link leads where it led, rights stay.
    let link = desk.path("link");
    std::os::unix::fs::symlink(&out, &link).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(desk.run(&[&module, "--out", &link]).status, 0);
    assert_eq!(fs::read(&out).unwrap(), b"hello");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o640);
    let pipe = desk.path("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    assert_eq!(desk.run(&[&module, "--out", &pipe]).status, 0);
    let mut read = [0; 5];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello");
    let dash = desk.run(&[&module, "--out", "-"]);
    assert_eq!((dash.status, dash.stdout.as_slice()), (0, &b"hello"[..]), "as with --stdin, - is a stream");
    assert!(!Path::new("-").exists());

    let ran = desk.run(&[&module, "--out", "/dev/null"]);
    assert_eq!(ran.status, 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());

    for place in [desk.path("no/such/folder/out"), desk.folder.path().display().to_string()] {
        let ran = desk.run(&[&module, "--out", &place, "--json"]);
        assert_eq!((ran.status, ran.failure().as_str()), (2, "out_unwritable"));
    }
}

#[test]
fn an_older_result_stays_where_there_is_no_new_one() {
    let desk = Desk::new();
    let say = "(call $say (i32.const 1) (i32.const 1000) (i32.const 5))";
    let out = desk.file("out", b"older");
    let text = desk.file("text.wasm", b"(module)");
    let traps = desk.module(&format!("{say} unreachable"));
    let ran = desk.run(&[&traps, "--out", &out]);
    assert_eq!((ran.status, fs::read(&out).unwrap().as_slice()), (4, &b"older"[..]));
    let endless = desk.module(&format!("{say} (loop $l (br $l))"));
    for (args, status) in [(&[text.as_str()][..], 6), (&[endless.as_str(), "--cpu-seconds", "1"], 5)] {
        let ran = desk.run(&[args, &["--out", &out]].concat());
        assert_eq!((ran.status, fs::read(&out).unwrap().as_slice()), (status, &b"older"[..]), "{}", ran.stderr);
    }
    let leaves = desk.module(&format!("{say} (call $exit (i32.const 3))"));
    assert_eq!(desk.run(&[&leaves, "--out", &out]).status, 3);
    assert_eq!(fs::read(&out).unwrap(), b"hello", "a program that left by itself has said all that it wanted to");
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let desk = Desk::new();
    let module = desk.module("(call $say (i32.const 2) (i32.const 1000) (i32.const 5)) (loop $l (br $l))");
    let mut command = Command::new(env!("CARGO_BIN_EXE_surge"));
    command.args(["task", "run", &module, "--out", &desk.path("out")]).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut running = command.env("SURGE_WORKER", &*WORKER).env("SURGE_HOME", desk.home.path()).spawn().unwrap();
    let mut begun = [0; 5];
    running.stderr.take().unwrap().read_exact(&mut begun).unwrap();
    let pid = rustix::process::Pid::from_child(&running);
    // Not SIGINT: whoever runs the tests in the background may have it ignored, and so inherited.
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(!running.wait().unwrap().success());
    let names: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["module.wasm"]);
}

#[test]
fn a_full_disk_is_named_and_nothing_half_is_left() {
    let desk = Desk::new();
    let module = desk.module("(call $say (i32.const 1) (i32.const 1000) (i32.const 5))");
    let ran = desk.run(&[&module, "--out", "/dev/full", "--json"]);
    assert_eq!((ran.status, ran.failure().as_str()), (1, "output_unwritable"));
    assert!(ran.stderr.contains("No space left") && ran.stderr.contains("free some space"), "{}", ran.stderr);
    let ran = desk
        .run_with(&[&module], |command| command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap()));
    assert_eq!(ran.status, 1);
}

#[test]
fn what_cannot_be_run_says_what_why_and_what_to_do() {
    let desk = Desk::new();
    let module = desk.module("");
    let set = desk.file("set", b"");
    let missing = desk.path("missing");
    let folder = desk.folder.path().display().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&[&missing], "module_unreadable"),
        (&[&folder], "module_unreadable"),
        (&[&module, "--stdin", &missing], "stdin_unreadable"),
        (&[&module, "--data", &format!("a={missing}")], "data_unreadable"),
        (&[&module, "--data", &format!("a={folder}")], "data_unreadable"),
        (&[&module, "--data", &format!("a={set}"), "--data", &format!("a={set}")], "data_twice"),
        (&[&module, "--fuel-budget", "5"], "fuel_unmetered"),
    ];
    for (args, code) in cases {
        let ran = desk.run(&[*args, &["--json"]].concat());
        assert_eq!((ran.status, ran.failure().as_str()), (2, *code), "{}", ran.stderr);
        assert!(ran.stderr.starts_with("surge: ") && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    }
    for bad in [
        &["--data", "noname"][..],
        &["--data", "a/b=x"],
        &["--data", "..=x"],
        &["--data", "a="],
        &["--memory-mib", "0"],
        &["--memory-mib", "5000"],
        &["--meter", "gas"],
    ] {
        assert_eq!(desk.run(&[&[module.as_str()], bad].concat()).status, 2, "{bad:?}");
    }
    let nowhere = desk.run_with(&[&module, "--json"], |command| command.env("SURGE_WORKER", &missing));
    assert_eq!((nowhere.status, nowhere.failure().as_str()), (1, "no_worker"));
    let broken = desk.run_with(&[&module, "--json"], |command| command.env("SURGE_WORKER", &set));
    assert_eq!((broken.status, broken.report()["code"].as_str()), (1, Some("spawn")));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let desk = Desk::new();
    let module = desk.module("(loop $l (call $say (i32.const 1) (i32.const 0) (i32.const 100000)) (br $l))");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = desk.run_with(&[&module, "--output-mib", "1"], |command| command.stdout(writer));
    assert_eq!(ran.status, 5, "{}", ran.stderr);
}

#[test]
fn the_help_explains_the_exit_statuses() {
    let help = desk_help();
    for line in ["0  done", "1  host", "2  usage", "3  exit", "4  trap", "5  limit", "6  invalid"] {
        assert!(help.contains(line), "{help}");
    }
}

fn desk_help() -> String {
    let ran = Desk::new().run(&["--help"]);
    assert_eq!(ran.status, 0);
    String::from_utf8(ran.stdout).unwrap()
}

/// Notes in `/state` how often it was started, computes for a while, and says either that or always the same.
fn counting_starts(desk: &Desk, says: u32) -> String {
    let text = format!(
        "(module
          (import \"wasi_snapshot_preview1\" \"path_open\"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"fd_pread\" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"fd_pwrite\" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
          (import \"wasi_snapshot_preview1\" \"fd_sync\" (func $sync (param i32) (result i32)))
          (memory (export \"memory\") 1)
          (data (i32.const 0) \"\\64\\00\\00\\00\\01\\00\\00\\00\") (data (i32.const 1000) \"state/n\") (data (i32.const 200) \"=\")
          (func (export \"_start\") (local $i i32)
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 1000) (i32.const 7) (i32.const 1)
              (i64.const 0x6001ff) (i64.const 0) (i32.const 0) (i32.const 16)))
            (drop (call $pread (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8)))
            (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
            (drop (call $pwrite (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8)))
            (drop (call $sync (i32.load (i32.const 16))))
            (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1500000000))))
            (i32.store (i32.const 0) (i32.const {says}))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"
    );
    desk.file("starts.wasm", &wat::parse_str(text).unwrap())
}

#[test]
fn an_author_sees_whether_a_killed_task_ends_as_an_undisturbed_one() {
    let desk = Desk::new();
    let same = desk.run(&[&counting_starts(&desk, 200), "--kill-at", "0.1", "--json"]);
    assert_eq!((same.status, same.stdout.as_slice()), (0, &b"="[..]), "{}", same.stderr);
    let check = &same.report()["check"];
    assert_eq!((&check["agrees"], &check["resumed"]), (&true.into(), &true.into()));
    assert!(check["killed_at_cpu_ms"].as_u64().unwrap() >= 100);

    let differs = desk.run(&[&counting_starts(&desk, 100), "--kill-at", "0.1"]);
    assert_eq!((differs.status, differs.stdout.as_slice()), (7, &[1][..]), "{}", differs.stderr);
    assert!(differs.stderr.contains("resumed") && differs.stderr.contains("ANOTHER RESULT"), "{}", differs.stderr);

    let too_late = desk.run(&[&counting_starts(&desk, 200), "--kill-at", "1000"]);
    assert_eq!(too_late.status, 2);
    assert!(too_late.stderr.contains("ended_before_kill"), "{}", too_late.stderr);
}

#[test]
fn an_author_sees_that_two_runs_agree_and_what_a_task_would_cost() {
    let desk = Desk::new();
    let module = desk.module(
        "(call $random (i32.const 0) (i32.const 64)) (drop) (call $say (i32.const 1) (i32.const 0) (i32.const 64))",
    );
    let twice = desk.run(&[&module, "--twice", "--core-hour", "3.6", "--json"]);
    assert_eq!(twice.status, 0, "{}", twice.stderr);
    let report = twice.report();
    assert_eq!((&report["check"]["agrees"], &report["check"]["second_digest"]), (&true.into(), &report["digest"]));
    // 3.6 tokens for 3,600,000 milliseconds: a thousandth of a thousandth of a token each.
    let price: u128 = report["price"].as_str().unwrap().parse().unwrap();
    assert_eq!(price, u128::from(report["cpu_ms"].as_u64().unwrap()) * 10_u128.pow(12));
    let words = desk.run(&[&module, "--twice"]);
    assert!(words.stderr.contains("twice, in two processes: the same result"), "{}", words.stderr);
}

#[test]
fn compiled_code_is_kept_at_home_for_the_next_run() {
    let desk = Desk::new();
    let module = desk.module("");
    let kept = || fs::read_dir(desk.home.path().join("code")).map_or(0, Iterator::count);
    assert_eq!(kept(), 0);
    assert_eq!(desk.run(&[&module]).status, 0);
    assert_eq!(kept(), 2, "the code and the key");
    assert_eq!(desk.run(&[&module]).status, 0);
    assert_eq!(kept(), 2);
}
