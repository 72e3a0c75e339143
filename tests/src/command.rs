//! Programs that are started through another one.

use std::process::Command;

/// `first`, with `program`, its arguments and its changes of the environment behind what `first` has already: for what ends by
/// becoming the program that it is given, such as `nice` and `sh -c 'exec "$@"'`.
#[must_use]
pub fn through(mut first: Command, program: &Command) -> Command {
    first.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => first.env(name, value),
            None => first.env_remove(name),
        };
    }
    first
}
