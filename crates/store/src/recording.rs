//! Recorded answers: what a `recorded` model plays back, stored once for each file.

use assay_common::case::Recording;
use assay_common::clock::Micros;
use assay_common::id::Digest;
use assay_common::job::Output;
use assay_common::usage::Usage;

use crate::bulk::{Bulk, executed};
use crate::error::StoreError;
use crate::open::Store;
use crate::pools::{Durability, reading, writing};
use crate::row::{integer, output, output_columns, usage, whole};

pub(crate) const SQL: &[&str] = &[HAS_RECORDING, SEAL_RECORDING, RECORDING];
pub(crate) static BULKS: &[&Bulk] = &[&PUT_RECORDINGS];

/// The label of a line that holds for all prompts; no prompt has it.
const ANY_PROMPT: &str = "";
/// The trial of a line that holds for all trials; they count from 1.
const ANY_TRIAL: u32 = 0;

const HAS_RECORDING: &str = "SELECT lines FROM recordings WHERE digest = $1";

impl Store {
    /// Whether all lines of `recording` are stored.
    pub async fn has_recording(&self, recording: &Digest) -> Result<bool, StoreError> {
        let lines: Option<i64> = reading!(self, |conn| {
            Ok(sqlx::query_scalar(HAS_RECORDING).bind(recording.as_str()).fetch_optional(&mut *conn).await?)
        })?;
        Ok(lines.is_some())
    }
}

static PUT_RECORDINGS: Bulk = Bulk::new(
    "INSERT INTO recording_lines (recording, case_id, prompt, trial, input_tokens, output_tokens, latency_ms,
        output, output_bytes) VALUES",
    "($, $, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING",
);

impl Store {
    /// Stores some lines. Of two for the same case, prompt and trial the first stays.
    pub async fn put_recordings(&self, recording: Digest, lines: Vec<Recording>) -> Result<(), StoreError> {
        let rows: Vec<_> = lines
            .into_iter()
            .map(|line| {
                let usage = line.usage.unwrap_or_default();
                (
                    line.case,
                    line.prompt.unwrap_or_else(|| ANY_PROMPT.to_owned()),
                    i64::from(line.trial.unwrap_or(ANY_TRIAL)),
                    usage.input_tokens.map(integer),
                    usage.output_tokens.map(integer),
                    line.latency_ms,
                    Output::of_text(line.output),
                )
            })
            .collect();
        // Sealing, which comes after, survives a power cut only together with this.
        writing!(self, Durability::Process, |conn| {
            executed!(conn, PUT_RECORDINGS(), &rows, |(
                case,
                prompt,
                trial,
                input,
                output,
                latency,
                answer,
            )| (
                recording.as_str(),
                case,
                prompt,
                trial,
                input,
                output,
                latency,
                output_columns(Some(answer)).0,
                output_columns(Some(answer)).1,
            ));
            Ok(())
        })
    }
}

const SEAL_RECORDING: &str =
    "INSERT INTO recordings (digest, lines, sealed_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

impl Store {
    /// Declares that every line of `recording` is stored: from now on it counts.
    pub async fn seal_recording(&self, recording: Digest, lines: u64, now: Micros) -> Result<(), StoreError> {
        writing!(self, |conn| {
            let query = sqlx::query(SEAL_RECORDING).bind(recording.as_str()).bind(integer(lines));
            query.bind(now.0).execute(&mut *conn).await?;
            Ok(())
        })
    }
}

// A line that names both comes first, then one that names the prompt, then one that names the trial.
const RECORDING: &str = "
    SELECT case_id, prompt, trial, input_tokens, output_tokens, latency_ms, output, output_bytes
    FROM recording_lines
    WHERE recording = $1 AND case_id = $2 AND prompt IN ('', $3) AND trial IN (0, $4)
    ORDER BY CASE WHEN prompt = '' THEN 1 ELSE 0 END, CASE WHEN trial = 0 THEN 1 ELSE 0 END
    LIMIT 1";

#[derive(sqlx::FromRow)]
struct Line {
    case_id: String,
    prompt: String,
    trial: i64,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    latency_ms: Option<f64>,
    output: Option<String>,
    output_bytes: Option<Vec<u8>>,
}

impl Store {
    /// The recorded answer that says most about this case, prompt and trial.
    pub async fn recording(
        &self,
        recording: Digest,
        case: String,
        prompt_label: String,
        trial: u32,
    ) -> Result<Option<Recording>, StoreError> {
        let line: Option<Line> = reading!(self, |conn| {
            let query = sqlx::query_as(RECORDING).bind(recording.as_str()).bind(&case);
            let query = query.bind(&prompt_label).bind(i64::from(trial));
            Ok(query.fetch_optional(&mut *conn).await?)
        })?;
        line.map(Line::into_recording).transpose()
    }
}

impl Line {
    fn into_recording(self) -> Result<Recording, StoreError> {
        let usage = usage(self.input_tokens, self.output_tokens)?;
        let trial: u32 = whole(self.trial, "trial")?;
        let answer = match output(self.output, self.output_bytes) {
            Some(Output::Text(text)) => text,
            // Stored from a String, so it is valid text.
            Some(Output::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            None => {
                return Err(StoreError::Unreadable(format!("no recorded answer for case {}", self.case_id)));
            }
        };
        Ok(Recording {
            case: self.case_id,
            prompt: (self.prompt != ANY_PROMPT).then_some(self.prompt),
            trial: (trial != ANY_TRIAL).then_some(trial),
            output: answer,
            usage: (usage != Usage::default()).then_some(usage),
            latency_ms: self.latency_ms,
        })
    }
}
