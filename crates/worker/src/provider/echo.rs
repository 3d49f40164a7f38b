//! `echo`: the answer is the prompt itself. For trying a suite without a model.

use assay_common::usage::Usage;

use super::meter::Meters;
use super::observation::{Answer, Measured, Observation, Reply};
use super::{Prompt, Question};

pub(super) fn ask(question: &Question<'_>) -> Observation {
    let text = match question.prompt {
        Prompt::Text(text) => text.clone(),
        // Messages of strings always have a JSON text.
        Prompt::Chat(messages) => serde_json::to_string(messages).unwrap_or_default(),
    };
    let usage = Usage { input_tokens: Some(0), output_tokens: Some(0) };
    let answer = Answer { text, finish_reason: None, usage, status: None };
    Observation {
        reply: Reply::Answer(answer),
        retry_after: None,
        meters: Meters::default(),
        measured: Measured::Never,
    }
}

#[cfg(test)]
mod tests {
    use assay_common::case::{Case, Vars};
    use assay_common::id::RunId;
    use assay_common::job::JobKey;
    use assay_common::model::{Model, Sampling};
    use assay_common::prompt::{Message, Role};

    use super::*;

    #[test]
    fn says_what_it_is_asked() {
        let check = |prompt: Prompt, expected: &str| {
            let case = Case { id: "c".into(), cluster: None, tags: Default::default(), vars: Vars::new() };
            let model = Model {
                provider: "echo".into(),
                model: "echo".into(),
                sampling: Sampling::default(),
                recording: None,
            };
            let key = JobKey { run: RunId::new(Default::default()), ordinal: 0, generation: 0 };
            let question = Question {
                key,
                attempt: 1,
                model: &model,
                prompt: &prompt,
                case: &case,
                prompt_label: "p",
                trial: 1,
            };
            match ask(&question).reply {
                Reply::Answer(answer) => assert_eq!(answer.text, expected),
                other => panic!("{other:?}"),
            }
        };
        check(Prompt::Text("Hi {{ x }}\n".into()), "Hi {{ x }}\n");
        let chat = vec![Message { role: Role::User, content: "a \"b\"".into() }];
        check(Prompt::Chat(chat), r#"[{"role":"user","content":"a \"b\""}]"#);
    }
}
