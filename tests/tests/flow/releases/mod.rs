//! A prompt's life, with the real binary: version 2 is better, passes and is promoted; version 3 is worse on a slice, fails
//! and is refused; it is released all the same, which opens an incident, and rolled back.
//!
//! - `story`: that, then a model that gets worse, and the review of the month, over SQLite and over PostgreSQL; `served`: releases
//!   through a coordinator; `wrong`: whatever can be wrong
//! - `races`: two promotions at once; `fleet`: verdicts where nobody waits for them
//! - `sweeps`: what is live is swept; `returned`: while a version comes back; `clock`: clocks that jump over planned times
//! - `notify`: who is told of it; `review`: what it came to; `hostile`: what names try; `ranges`: signals that leave their range
//! - `rehearsal`: the script for teams

mod clock;
mod fleet;
mod hostile;
pub(crate) mod notify;
mod races;
mod ranges;
mod rehearsal;
mod returned;
mod review;
mod served;
mod story;
mod sweeps;
mod wrong;

use assay_tests::assay::{Ran, Workplace};

/// The texts of versions 1, 2 and 3: each says what the case holds for it.
const VERSIONS: [&str; 4] = ["{{ one }}\n", "{{ two }}\n", "{{ three }}, briefly\n", "{{ four }}\n"];
/// What the first version has to satisfy: there is nothing to compare it with.
const ALONE: &str = "gate:\n  rules:\n    - {metric: pass_rate, min: 0.7}\n";
/// What a version has to satisfy against the one that is live.
const COMPARED: &str = "gate:\n  rules:\n    - {metric: pass_rate, max_drop: 0.05}\n    \
    - {name: german, metric: pass_rate, slice: {language: de}, max_drop: 0.05}\n";

/// Somebody with a folder of prompts and a store.
struct Team {
    place: Workplace,
    /// Where the store is, or the coordinator: flags of every command.
    flags: Vec<String>,
    /// Who answers: says what it is asked.
    model: &'static str,
}

impl Team {
    /// The four versions and their cases: 1 is right four times in five, 2 nearly always, 3 nearly always but in German, 4
    /// as 2.
    fn new(flags: &[&str]) -> Self {
        Self::of(400, "echo/echo", flags)
    }

    /// The same of so many cases, with answers of a model.
    fn of(cases: u32, model: &'static str, flags: &[&str]) -> Self {
        let place = Workplace::default();
        let cases: String = (0..cases)
            .map(|n| {
                let language = if n % 2 == 0 { "en" } else { "de" };
                let says = |right: bool| if right { "yes" } else { "no" };
                let two = n % 20 != 0;
                let three = two && (language == "en" || n % 5 < 2);
                format!(
                    "{{\"id\": \"c{n}\", \"language\": \"{language}\", \"one\": \"{}\", \"two\": \"{}\", \"three\": \"{}\", \"four\": \"{}\"}}\n",
                    says(n % 5 != 0), says(two), says(three), says(two)
                )
            })
            .collect();
        place.write("cases.jsonl", cases);
        for (number, text) in (1..).zip(VERSIONS) {
            place.write(&format!("prompts/{number}.md"), text);
        }
        Self { place, flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), model }
    }

    /// Writes the suite `candidate` against `baseline`.
    fn suite(&self, candidate: usize, baseline: Option<usize>, gate: &str) {
        let entry = |number, more: &str| {
            format!("  - {{name: support, label: v{number}, file: prompts/{number}.md{more}}}\n")
        };
        let baseline = baseline.map_or_else(String::new, |number| entry(number, ", baseline: true"));
        let text = format!(
            "suite: support\nowner: ann@example.com\nprompts:\n{baseline}{}models: [{}]\n\
             cases:\n  - {{file: cases.jsonl, id: id, tags: [language]}}\nscore:\n  - {{type: contains, value: 'yes'}}\n{gate}",
            entry(candidate, ""),
            self.model
        );
        self.place.write("suite.yaml", text);
    }

    /// Runs the binary as `who`.
    fn asks(&self, who: &str, arguments: &[&str]) -> Ran {
        let mut command = self.place.command(arguments);
        command.args(&self.flags).env("ASSAY_ACTOR", who).output().unwrap().into()
    }

    fn ann(&self, arguments: &[&str]) -> Ran {
        self.asks("ann", arguments)
    }

    /// Runs the suite of `candidate` against `baseline`, which ends with `code`, and returns the run's id.
    fn judges(&self, candidate: usize, baseline: Option<usize>, code: i32) -> String {
        self.suite(candidate, baseline, if baseline.is_some() { COMPARED } else { ALONE });
        let ran = self.ann(&["run", "suite.yaml", "--json", "--message", "as discussed"]).expect(code);
        ran.json()["run"]["id"].as_str().unwrap().to_owned()
    }
}

/// That each part stands in what was said.
#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}
