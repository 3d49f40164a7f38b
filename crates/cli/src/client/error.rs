//! What can go wrong between the command line and a coordinator.

use assay_coordinator::api::problem::Problem;

use crate::exit::Exit;

/// Why a coordinator did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no coordinator is named; set ASSAY_SERVER or give --server URL, such as http://127.0.0.1:8080")]
    NoServer,
    #[error("--server `{0}` is no http or https URL, such as http://127.0.0.1:8080")]
    Url(String),
    #[error("--server holds a user or password; a coordinator takes a token: set ASSAY_TOKEN")]
    Credentials,
    #[error(
        "a coordinator wants a token; set ASSAY_TOKEN (`assay token create NAME --scopes submit,read` makes one)"
    )]
    NoToken,
    #[error("the token holds characters that no token has; look for quotes and line ends in ASSAY_TOKEN")]
    BadToken,
    #[error(
        "cannot reach the coordinator at {server}: {}; check --server and that `assay coordinator` runs there",
        why(source)
    )]
    Unreachable { server: String, source: reqwest::Error },
    #[error("the coordinator at {server} has not answered for {seconds} s; try again, or look at its log")]
    Silent { server: String, seconds: u64 },
    #[error("the coordinator at {server} is away (a proxy answers {status}); try again when it is back")]
    Away { server: String, status: u16 },
    #[error("{server} answers {answer}, as no assay coordinator does; check --server")]
    Stranger { server: String, answer: String },
    #[error("{}", refusal(server, problem))]
    Refused { server: String, problem: Box<Problem> },
    #[error("{0}")]
    Changed(String),
}

impl ClientError {
    /// Whether the same request may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Away { .. } => true,
            Self::Refused { problem, .. } => problem.status >= 500,
            _ => false,
        }
    }

    /// Whether the coordinator has its hands full at the moment.
    pub(crate) fn is_busy(&self) -> bool {
        self.kind() == Some("urn:assay:problem:busy")
    }

    /// Which kind of problem the coordinator has with it.
    pub(crate) fn kind(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => Some(&problem.kind),
            _ => None,
        }
    }

    /// Whether the coordinator said with this status that it does not do it.
    pub(crate) fn is_status(&self, status: u16) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.status == status)
    }
}

/// The innermost cause says most: `Connection refused`, not `error sending request`.
fn why(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn refusal(server: &str, problem: &Problem) -> String {
    let mut text = match problem.errors.as_slice() {
        [] => format!("the coordinator at {server} refused ({}): {}", problem.status, problem.detail),
        _ => format!("the coordinator at {server} cannot run the suite:"),
    };
    for error in &problem.errors {
        text.push_str(&format!("\n  {}: {}", error.place, error.message));
        if let Some(hint) = &error.hint {
            text.push_str(&format!("; {hint}"));
        }
    }
    if let Some(hint) = &problem.hint {
        text.push_str(&format!("\n  help: {hint}"));
    }
    text
}

impl From<ClientError> for Exit {
    fn from(error: ClientError) -> Self {
        if error.may_pass() { Self::unfinished(error) } else { Self::input(error) }
    }
}
