//! Starts an engine, and tells in the shell's codes why there is none after that.

use surge_client::EngineStartError;
use surge_platform::paths::Paths;

use crate::lost::{Lost, LostCode};

/// What can start an engine.
pub(crate) trait Starter {
    /// Starts one, and returns when an engine answers.
    fn start(&self) -> impl Future<Output = Result<(), Lost>> + Send;
}

/// Starts the installed engine for one home.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) paths: Paths,
}

impl Starter for Launcher {
    async fn start(&self) -> Result<(), Lost> {
        surge_client::start_engine(&self.paths).await.map_err(|error| lost(&error))
    }
}

fn lost(error: &EngineStartError) -> Lost {
    match error {
        EngineStartError::NoProgram => LostCode::NoProgram.into(),
        EngineStartError::Silent => LostCode::Stuck.into(),
        EngineStartError::Spawn { .. } => Lost::said(LostCode::CantStart, error.to_string()),
        EngineStartError::Ended { said, .. } => Lost::said(LostCode::CantStart, without_code(said)),
    }
}

/// The sentence without the code for programs at its end: `SENTENCE [CODE]`.
fn without_code(said: &str) -> &str {
    let split = said.strip_suffix(']').and_then(|said| said.rsplit_once(" ["));
    split.map_or(said, |(sentence, _)| sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_said_at_its_end_is_told_to_people_without_its_code() {
        let ended = |said: &str| lost(&EngineStartError::Ended { status: Some(12), said: said.into() });
        let told = "another engine runs on this machine";
        assert_eq!(ended(&format!("{told} [machine_in_use]")), Lost::said(LostCode::CantStart, told));
        assert_eq!(ended("Killed").said.as_deref(), Some("Killed"));
        assert_eq!(lost(&EngineStartError::NoProgram), LostCode::NoProgram.into());
    }
}
