//! What fuzzers do with the foreign bytes that this crate reads: modules, calls into WASI, images of `/state`, and what
//! a worker is told. Each function panics where a promise is broken.
//!
//! Deliberately absent from what ships: it is compiled for tests and under the feature `fuzzing`, which only `fuzz/`
//! asks for, so that the engine's insides can stay private.

mod modules;
mod script;
mod shim;
mod told;

pub use modules::{check, compile};
pub use shim::shim;
pub use told::told;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs what the fuzzers found worth keeping.
    fn corpus(target: &str, run: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            println!("{}", file.display());
            run(&std::fs::read(file).unwrap());
        }
    }

    #[test]
    fn what_the_fuzzers_found_in_modules_is_checked_and_compiled() {
        corpus("modules", |module| {
            if super::check(module) {
                super::compile(module);
            }
        });
    }

    /// Found by the fuzzer: the look for features that tasks may not use made room for 700,000 exports.
    #[test]
    fn the_second_look_at_a_broken_module_is_bounded_too() {
        let module = include_bytes!("../../fuzz/corpus/modules/second-look-takes-46-mb");
        let refused = crate::check::check(module, &surge_protocol::task::Limits::default()).unwrap_err();
        assert_eq!(refused.code, surge_protocol::frame::ReportCode::Word("too_large".into()), "{refused:?}");
    }

    #[test]
    fn what_the_fuzzers_found_in_calls_is_answered() {
        corpus("shim", super::shim);
    }

    #[test]
    fn what_the_fuzzers_found_to_tell_a_worker_is_heard() {
        corpus("told", super::told);
    }
}
