//! The preview-1 cases of the public WASI test suite (WebAssembly/wasi-testsuite), rebuilt from their behaviour under
//! their own names: each calls the raw functions, and panics where an answer is not the one that the suite expects.
//!
//! Arguments: a case and the folder that it may write to, or `list`. Deliberately absent: what this profile does not
//! have; `docs/wasi.md` says which cases those are.

mod clocks;
mod descriptors;
mod files;
mod folders;
mod links;
mod opening;
mod polls;
mod process;
mod raw;
mod renames;

use raw::{Fd, folder};

/// The folder that the program finds open.
const ROOT: Fd = 3;

/// A case by its name in the suite. It is given a descriptor of a folder that it may write to.
type Case = (&'static str, fn(Fd));

const GROUPS: [&[Case]; 9] = [
    clocks::CASES,
    descriptors::CASES,
    files::CASES,
    folders::CASES,
    links::CASES,
    opening::CASES,
    polls::CASES,
    process::CASES,
    renames::CASES,
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().expect("the first argument is a case or `list`");
    let mut cases = GROUPS.iter().flat_map(|group| group.iter());
    if name == "list" {
        cases.for_each(|(name, _)| println!("{name}"));
        return;
    }
    let (_, case) = cases.find(|(known, _)| *known == name).expect("the case is one of `list`");
    case(folder(ROOT, &arguments.next().unwrap_or_else(|| "state".to_owned())));
    println!("{name}: passed");
}
