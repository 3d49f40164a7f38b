//! What is measured of shared limits: how much the account allows, how many workers share it, what happens to them, and the files
//! of a run that keeps all of them busy.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use fake_provider::{Answer, Latency, Limits, Script};
use serde::Serialize;

use super::renewals;
use super::trouble::Trouble;

/// What limits are counted over.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Windows beside those that are measured in which there is work: the one in which it begins, and spare ones.
const SPARE_WINDOWS: u64 = 3;
/// What a request of the run with a limit of tokens allows its answer.
const MAX_TOKENS: u64 = 1_500;
/// The text of its prompts, in bytes, all lengths alike; a token is four bytes to the provider.
const TEXT_BYTES: std::ops::Range<u64> = 100..3_900;
const BYTES_A_TOKEN: u64 = 4;

/// A fleet under one limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Scenario {
    /// Its name, and that of the account.
    pub(super) name: &'static str,
    /// What is limited.
    pub(super) dimension: Dimension,
    /// To how much.
    pub(super) per_minute: u64,
    /// How many workers share it.
    pub(super) workers: u32,
    /// What happens to them.
    pub(super) trouble: Trouble,
    /// The figure: no 429, and at least so much of the limit used.
    pub(super) least: f64,
}

/// What an account limits here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dimension {
    Requests,
    Tokens,
}

/// Everything there is to measure.
pub(super) const SCENARIOS: [Scenario; 5] = [
    scenario("steady", Dimension::Requests, 600, 10, Trouble::None, 0.97),
    scenario("kills", Dimension::Requests, 600, 10, Trouble::Kills, 0.97),
    scenario("fast", Dimension::Requests, 3_000, 20, Trouble::Kills, 0.98),
    scenario("tokens", Dimension::Tokens, 2_000_000, 10, Trouble::Kills, 0.95),
    scenario("freezes", Dimension::Requests, 600, 10, Trouble::Freezes, 0.97),
];

/// Their names, and that of what needs no fleet.
pub(crate) const NAMES: [&str; 6] = {
    let [a, b, c, d, e] = SCENARIOS;
    [a.name, b.name, c.name, d.name, e.name, renewals::NAME]
};

const fn scenario(
    name: &'static str,
    dimension: Dimension,
    per_minute: u64,
    workers: u32,
    trouble: Trouble,
    least: f64,
) -> Scenario {
    Scenario { name, dimension, per_minute, workers, trouble, least }
}

impl Dimension {
    /// As the provider calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

impl Scenario {
    /// How the provider behaves: it takes a while for an answer, and counts every call.
    pub(super) fn script(&self) -> Script {
        let limits = match self.dimension {
            Dimension::Requests => Limits::requests(self.per_minute),
            Dimension::Tokens => Limits { tokens_per_minute: Some(self.per_minute), ..Limits::default() },
        };
        let script = Script::answering(Answer::Fixed("done".to_owned()));
        Script { latency: Latency::UniformMs(200, 800), ..script.limits(limits) }
    }

    /// More cases than so many windows have room for.
    pub(super) fn cases(&self, windows: u32) -> u64 {
        let per_minute = match self.dimension {
            Dimension::Requests => self.per_minute,
            Dimension::Tokens => {
                self.per_minute / (MAX_TOKENS + (TEXT_BYTES.start + TEXT_BYTES.end) / 2 / BYTES_A_TOKEN)
            }
        };
        per_minute * (u64::from(windows) + SPARE_WINDOWS)
    }

    /// Writes suite.yaml, cases.jsonl and assay.toml.
    pub(super) fn write(&self, folder: &Path, base_url: &str, cases: u64) -> io::Result<()> {
        let Self { name, dimension, per_minute, .. } = self;
        let limit = dimension.word();
        fs::write(
            folder.join("assay.toml"),
            format!(
                "[providers.{name}]\nkind = \"openai\"\nbase_url = \"{base_url}\"\n\
                 [providers.{name}.limits]\n{limit}_per_minute = {per_minute}\n"
            ),
        )?;
        fs::write(
            folder.join("suite.yaml"),
            format!(
                "suite: limits-{name}\n\
                 prompts:\n  - name: tell\n    text: \"{{{{ text }}}}\"\n\
                 models:\n  - provider: {name}\n    model: strict\n    max_tokens: {MAX_TOKENS}\n\
                 cases:\n  - file: cases.jsonl\n    id: id\n\
                 score:\n  - type: equals\n    value: done\n"
            ),
        )?;
        let mut file = BufWriter::new(File::create(folder.join("cases.jsonl"))?);
        for number in 0..cases {
            let text = "x".repeat(usize::try_from(self.bytes(number)).unwrap_or_default());
            writeln!(file, r#"{{"id": "case-{number}", "text": "{number} {text}"}}"#)?;
        }
        file.flush()
    }

    /// How long the text of a case is: of one with a limit of tokens all lengths, in no order.
    fn bytes(&self, number: u64) -> u64 {
        match self.dimension {
            Dimension::Requests => TEXT_BYTES.start,
            Dimension::Tokens => TEXT_BYTES.start + number * 1_597 % (TEXT_BYTES.end - TEXT_BYTES.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_outlasts_the_windows() {
        let cases = SCENARIOS.map(|scenario| scenario.cases(6));
        assert_eq!(cases, [5_400, 5_400, 27_000, 9_000, 5_400]);
        let [.., tokens, _] = SCENARIOS;
        let all = tokens.cases(6);
        let bytes = (0..all).map(|number| tokens.bytes(number)).sum::<u64>();
        assert!((bytes / all).abs_diff(2_000) < 20, "{}", bytes / all);
    }

    #[test]
    fn the_files_are_those_of_a_suite() {
        let folder = tempfile::tempdir().unwrap();
        SCENARIOS[3].write(folder.path(), "http://127.0.0.1:1/v1", 3).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let config = assay_common::config::Config::parse(&read("assay.toml")).unwrap();
        let limits = config.provider("tokens").unwrap().limits;
        assert_eq!(limits.tokens_per_minute.map(std::num::NonZeroU64::get), Some(2_000_000));
        assert!(read("suite.yaml").contains("text: \"{{ text }}\"\nmodels:\n  - provider: tokens\n"));
        let cases = read("cases.jsonl");
        let last: serde_json::Value = serde_json::from_str(cases.lines().last().unwrap()).unwrap();
        assert_eq!((cases.lines().count(), &last["id"]), (3, &"case-2".into()));
    }
}
