//! How the process ends. A code means one thing, and what the user can mend says how.

use std::io::Write as _;
use std::process::ExitCode;

use assay_common::verdict::Decision;
use assay_common::visible::visible;
use assay_store::StoreError;

/// The end of a command.
#[derive(Debug)]
pub(crate) enum Exit {
    /// 0: done; with a gate, the verdict is pass.
    Done,
    /// 1: the verdict is fail.
    Failed,
    /// 2: the input is wrong; nothing was stored or called.
    Input(anyhow::Error),
    /// 3: the verdict is inconclusive; without a gate, jobs errored or were cancelled.
    Inconclusive,
    /// 4: could not finish; says why and how to go on.
    Unfinished(anyhow::Error),
}

impl Exit {
    /// The input is wrong.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Self::Input(error.into())
    }

    /// Could not finish.
    pub(crate) fn unfinished(error: impl Into<anyhow::Error>) -> Self {
        Self::Unfinished(error.into())
    }

    /// Says on stderr what went wrong, if anything did, and gives the code.
    pub(crate) fn report(self) -> ExitCode {
        let code = match &self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Input(_) => 2,
            Self::Inconclusive => 3,
            Self::Unfinished(_) => 4,
        };
        if let Self::Input(error) | Self::Unfinished(error) = self {
            let text = visible(&chain(&error)).into_owned();
            // Diagnostics bring their own heading.
            let heading =
                if text.starts_with("error") || text.starts_with("warning") { "" } else { "error: " };
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(anstream::stderr(), "{heading}{}", text.trim_end());
        }
        ExitCode::from(code)
    }
}

/// An error with its causes, but for those that only say again what was said.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

impl From<Decision> for Exit {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Pass => Self::Done,
            Decision::Fail => Self::Failed,
            Decision::Inconclusive => Self::Inconclusive,
        }
    }
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        match error {
            // A path that was mistyped, or that something else is in the way of.
            StoreError::NoFolder { .. } | StoreError::NotAFolder { .. } | StoreError::NoText => {
                Self::input(error)
            }
            error => Self::unfinished(error),
        }
    }
}

impl From<assay_coordinator::run::DriveError> for Exit {
    fn from(error: assay_coordinator::run::DriveError) -> Self {
        Self::unfinished(error)
    }
}

/// Writing to stdout failed. A reader that has seen enough (`assay results … | head`) is no failure.
impl From<std::io::Error> for Exit {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Done,
            _ => Self::unfinished(anyhow::Error::new(error).context("cannot write the output")),
        }
    }
}
