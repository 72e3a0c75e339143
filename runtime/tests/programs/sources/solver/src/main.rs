//! Decides whether a formula can be satisfied. It is BatSat's own parser and solver behind standard input and output.
//!
//! Standard input: a formula in DIMACS CNF. Standard output: as in the SAT competitions, `s SATISFIABLE` and the model
//! in `v` lines, or `s UNSATISFIABLE`.

use std::io::{BufReader, Write, stdin, stdout};
use std::process::ExitCode;

use batsat::{BasicSolver, SolverInterface, Var, lbool};

fn main() -> ExitCode {
    let mut solver = BasicSolver::default();
    if let Err(error) = batsat::dimacs::parse(&mut BufReader::new(stdin()), &mut solver, false, false) {
        eprintln!("solver: cannot read the formula: {error}");
        return ExitCode::from(2);
    }
    let satisfiable = solver.solve_limited(&[]) == lbool::TRUE;
    let said = if satisfiable { model(&solver) } else { "s UNSATISFIABLE\n".to_owned() };
    match stdout().write_all(said.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("solver: cannot write the result: {error}");
            ExitCode::from(2)
        }
    }
}

fn model(solver: &BasicSolver) -> String {
    let mut said = "s SATISFIABLE\nv".to_owned();
    for n in 0..solver.num_vars() {
        let sign = if solver.value_var(Var::unsafe_from_idx(n)) == lbool::TRUE { "" } else { "-" };
        said += &format!(" {sign}{}", n + 1);
    }
    said + " 0\n"
}
