//! What to say of a command line that can't be understood: one line with a code, as of every other failure.

use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::failure::{self, Failure};
use crate::say;

/// Tells help and version where they were asked for.
///
/// # Errors
/// What is wrong with the command line; and whether a document was asked for.
pub(crate) fn answer(error: &clap::Error, mut program: clap::Command) -> Result<ExitCode, (anyhow::Error, bool)> {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    // They could not be parsed, and are looked through as they are.
    let json = arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
    let show = |text: &str| say::line(text.trim_end()).map_err(|error| (error, json));
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return show(&error.to_string()).map(|()| ExitCode::SUCCESS);
    }
    program.build();
    let (typed, command) = typed(&mut program, &arguments);
    let missing =
        matches!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand);
    let wrong = if missing { "a command is missing".to_owned() } else { told(&error.to_string()) };
    if missing && !json {
        // Whoever types only `surge` wants to know what there is.
        show(&command.render_help().to_string())?;
    }
    Err((Failure::new("usage", format!("{wrong}; see `{typed} --help`")).into(), json))
}

/// The command that `arguments` begin with, and how it is typed, as in `surge limits set`.
fn typed<'a>(program: &'a mut clap::Command, arguments: &[String]) -> (String, &'a mut clap::Command) {
    let mut path = program.get_name().to_owned();
    let mut command = program;
    for argument in arguments {
        if command.find_subcommand(argument).is_some() {
            path = format!("{path} {argument}");
            command = command.find_subcommand_mut(argument).expect("it was found");
        }
    }
    (path, command)
}

/// What clap says, without its headings and the usage that follows.
fn told(text: &str) -> String {
    let said = text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    let said = failure::one_line(&said.collect::<Vec<_>>().join("\n"));
    said.strip_prefix("error: ").unwrap_or(&said).replace(" tip: ", "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clap_says_on_many_lines_is_said_on_one() {
        let text = "error: unrecognized subcommand 'stat'\n\n  tip: a similar subcommand exists: 'status'\n\n\
                    Usage: surge <COMMAND>\n\nFor more information, try '--help'.\n";
        assert_eq!(told(text), "unrecognized subcommand 'stat'; a similar subcommand exists: 'status'");
        let missing =
            "error: the following required arguments were not provided:\n  <SOURCE>\n\nUsage: surge attach <SOURCE>\n";
        assert_eq!(told(missing), "the following required arguments were not provided: <SOURCE>");
    }
}
