//! Real programs with known answers: two compressors, an interpreter, a database and a solver, from C, Rust and Zig.

use surge_protocol::Outcome::{Done, Exit};
use surge_protocol::task::Meter;
use surge_supervisor::Task;

use crate::door::{output, program, run, text};

/// What GNU gzip 1.12 (`gzip -9n`) and bzip2 1.0.8 (`bzip2 -9`) make of [`numbers`].
const GZIP: &[u8] = include_bytes!("answers/numbers.gz");
const BZIP2: &[u8] = include_bytes!("answers/numbers.bz2");

/// As `seq 1 5000` prints them.
fn numbers() -> Vec<u8> {
    (1..=5_000).map(|n| format!("{n}\n")).collect::<String>().into_bytes()
}

/// bzip2 1.0.8 as its author wrote it, in C.
#[test]
fn bzip2_compresses_to_the_very_bytes_that_it_compresses_to_elsewhere() {
    assert_eq!(output(program("bzip2", &["-9"], numbers())), BZIP2);
    assert_eq!(output(program("bzip2", &["-d"], BZIP2)), numbers());
}

#[test]
fn bzip2_refuses_what_is_damaged_as_it_does_elsewhere() {
    let mut damaged = BZIP2.to_vec();
    damaged[100] ^= 1;
    let finished = run(program("bzip2", &["-d"], damaged));
    assert_eq!((finished.outcome, finished.code.to_string().as_str()), (Exit, "2"));
    assert!(String::from_utf8_lossy(&finished.log).contains("Data integrity error"));
}

/// The codec of Zig's standard library.
#[test]
fn a_zig_program_expands_what_gnu_gzip_made_and_its_own() {
    assert_eq!(output(program("gzip", &["-d"], GZIP)), numbers());
    let packed = output(program("gzip", &[], numbers()));
    assert!(packed.len() < numbers().len() / 2);
    assert_eq!(output(program("gzip", &["-d"], packed)), numbers());
}

/// QuickJS-ng with its own `qjs`, in C: numbers, big integers, regular expressions, generators, exceptions, sorting.
#[test]
fn an_interpreter_runs_a_program_that_it_reads() {
    let script = "
        function* primes() { for (let n = 2; ; n++) if (!/^(..+?)\\1+$/.test('x'.repeat(n))) yield n; }
        const found = []; for (const p of primes()) { if (p > 100) break; found.push(p); }
        console.log(found.length, found.at(-1));
        let factorial = 1n; for (let n = 2n; n <= 50n; n++) factorial *= n;
        console.log(String(factorial));
        try { null.x } catch (error) { console.log(error instanceof TypeError); }
        console.log([3, 1, 2].map(x => x / 7).sort().join(' '));
        console.log(JSON.stringify({ date: new Date(0).toISOString(), text: 'ü'.normalize('NFD').length }));
        std.out.flush();";
    let said = text(program("qjs", &["--std", "-e", script], ""));
    let expected = "25 97\n\
        30414093201713378043612608166064768844377641568960512000000000000\n\
        true\n\
        0.14285714285714285 0.2857142857142857 0.42857142857142855\n\
        {\"date\":\"1970-01-01T00:00:00.000Z\",\"text\":2}\n";
    assert_eq!(said, expected);
}

/// Scripts keep files, and find them again.
#[test]
fn an_interpreter_has_the_tasks_files() {
    let script = "
        let file = std.open('/state/notes', 'w'); file.puts('kept'); file.close();
        os.rename('/state/notes', '/state/renamed');
        print(std.loadFile('/state/renamed'), os.readdir('/state')[0].sort(), os.stat('/state/renamed')[0].size);
        print(std.open('/data/new', 'w'), os.readdir('/etc')[1] !== 0);";
    assert_eq!(text(program("qjs", &["--std", "-e", script], "")), "kept .,..,renamed 4\nnull true\n");
}

/// SQLite, in C: a journal, transactions and syncs on the task's own files.
#[test]
fn a_database_keeps_its_files_in_state() {
    let script = "
        pragma journal_mode = delete; pragma synchronous = full;
        create table numbers(n integer primary key, square integer);
        begin;
        with recursive count(n) as (select 1 union all select n + 1 from count where n < 2000)
          insert into numbers select n, n * n from count;
        commit;
        begin; delete from numbers; rollback;
        select count(*), sum(square) from numbers;
        create index by_square on numbers(square);
        select n from numbers where square = 1522756;
        pragma integrity_check;
        vacuum;
        select round(exp(1), 12);";
    let said = text(program("sql", &["/state/numbers.db"], script));
    assert_eq!(said, "delete\n2000|2668667000\n1234\nok\n2.718281828459\n");
}

/// So many pigeons in so many holes, no two in one: no formula that size is harder for a solver by resolution.
fn pigeons(pigeons: usize, holes: usize) -> String {
    let var = |pigeon: usize, hole: usize| pigeon * holes + hole + 1;
    let mut clauses: Vec<String> = (0..pigeons)
        .map(|pigeon| (0..holes).map(|hole| format!("{} ", var(pigeon, hole))).collect::<String>() + "0\n")
        .collect();
    for hole in 0..holes {
        for one in 0..pigeons {
            clauses.extend((0..one).map(|other| format!("-{} -{} 0\n", var(one, hole), var(other, hole))));
        }
    }
    format!("p cnf {} {}\n{}", pigeons * holes, clauses.len(), clauses.concat())
}

/// Whether the model that the solver printed satisfies the formula.
fn satisfies(formula: &str, said: &str) -> bool {
    let model = said.lines().find_map(|line| line.strip_prefix("v ")).unwrap();
    let model: Vec<i32> = model.split(' ').map(|word| word.parse().unwrap()).collect();
    let clause =
        |line: &str| line.split(' ').any(|literal| literal != "0" && model.contains(&literal.parse().unwrap()));
    formula.lines().skip(1).all(clause)
}

/// BatSat, in Rust.
#[test]
fn a_solver_finds_models_and_proves_that_there_are_none() {
    let possible = pigeons(7, 7);
    let said = text(program("solver", &[], &possible));
    assert!(said.starts_with("s SATISFIABLE\n") && satisfies(&possible, &said), "{said}");
    assert!(!satisfies(&possible, "v -1 0"));
    assert_eq!(text(program("solver", &[], pigeons(7, 6))), "s UNSATISFIABLE\n");
    let refused = run(program("solver", &[], "no formula"));
    assert_eq!((refused.outcome, refused.code.to_string().as_str()), (Exit, "2"));
}

/// What a program computes does not depend on the meter, and what the meter counts does not depend on the process.
#[test]
fn real_programs_are_the_same_with_a_meter() {
    let tasks = [
        program("bzip2", &["-9"], numbers()),
        program("gzip", &[], numbers()),
        program("solver", &[], pigeons(6, 5)),
        program("qjs", &["-e", "console.log(Math.random(), Date.now())"], ""),
    ];
    for task in tasks {
        let plain = run(task.clone());
        let metered = || run(Task { meter: Meter::Fuel { budget: u64::MAX }, ..task.clone() });
        let (first, second) = (metered(), metered());
        assert_eq!((plain.outcome, plain.digest), (Done, first.digest), "{}", plain.detail);
        assert_eq!((first.digest, first.fuel), (second.digest, second.fuel));
        assert!(first.fuel > 0);
    }
}
