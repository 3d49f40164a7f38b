//! `recorded`: plays back the answers frozen with the suite. No key, no network, any time.

use assay_common::case::Recording;
use assay_store::{Store, StoreError};

use super::Question;
use super::meter::Meters;
use super::observation::{Answer, Measured, Observation, Reply};

/// `None` when no recorded answer fits this case, prompt and trial.
pub(super) async fn ask(question: &Question<'_>, store: &Store) -> Result<Option<Observation>, StoreError> {
    let Some(digest) = &question.model.recording else { return Ok(None) };
    let (case, label) = (question.case.id.clone(), question.prompt_label.to_owned());
    Ok(store.recording(digest.clone(), case, label, question.trial).await?.map(play))
}

fn play(recording: Recording) -> Observation {
    let measured = recording.latency_ms.and_then(micros).map_or(Measured::Never, Measured::Then);
    let answer = Answer {
        text: recording.output,
        finish_reason: None,
        usage: recording.usage.unwrap_or_default(),
        status: None,
    };
    Observation { reply: Reply::Answer(answer), retry_after: None, meters: Meters::default(), measured }
}

/// Whole microseconds; `None` for what is no length of time.
fn micros(millis: f64) -> Option<i64> {
    let micros = (millis * 1e3).round();
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked by the condition")]
    (0.0..9e18).contains(&micros).then_some(micros as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_the_recordings_own() {
        let check = |latency_ms: Option<f64>, expected: Measured| {
            let recording = Recording {
                case: "c".into(),
                prompt: None,
                trial: None,
                output: "A".into(),
                usage: None,
                latency_ms,
            };
            assert_eq!(play(recording).measured, expected);
        };
        check(Some(12.3456), Measured::Then(12_346));
        check(None, Measured::Never);
        check(Some(-1.0), Measured::Never);
        check(Some(f64::NAN), Measured::Never);
    }
}
