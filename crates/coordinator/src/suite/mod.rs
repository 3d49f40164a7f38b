//! Room 1: from a suite file to a suite that can run, or to everything that is wrong with it at once.
//!
//! ```text
//! suite.yaml ── yaml: a tree with places ── check: against the declared shape ── load: prompts, models, scorers,
//!    cases, recordings, gate ── Loaded ── freeze: into the store, chunk by chunk
//! ```
//!
//! - [`load`](load()): the walk, and what ties its steps together
//! - `yaml`, `source`, `folder`: text, places, and the only folder files are opened in
//! - `shape`, `layout`: the words to declare a file's shape in, and the suite's declaration
//! - `check`, `schema`: the declaration held against a file, and told to editors
//! - `live`: what it asks for by channel
//! - `prompts`, `models`, `scorers`, `gate`: one part of the suite each; `prospect`: what the gate can see, `never`:
//!   what it can never pass, `alike`: which of its metrics are one number; `templates`: the variables they want
//! - `cases`, `recordings`: rows that walk past and are counted; `exact`: their numbers, kept to the last digit
//! - `freeze`: the second pass; `upload`: the same between two machines, as JSON lines
//! - `admit`: what is checked of a frozen suite that comes from elsewhere
//! - `diagnostic`, `hint`: what is told, and what might have been meant
//!
//! **Invariant:** validation stores nothing, calls nothing and opens no file outside the suite's folder.

mod admit;
mod alike;
mod cases;
mod check;
mod diagnostic;
mod distinct;
mod exact;
mod folder;
mod freeze;
mod gate;
pub(crate) mod hint;
mod layout;
mod live;
mod load;
mod models;
mod never;
mod prompts;
mod prospect;
mod recordings;
mod schema;
mod scorers;
mod shape;
mod source;
mod templates;
mod upload;
mod yaml;

pub use admit::{Objection, admit};
pub use diagnostic::{Diagnostic, Problems, Severity};
pub use freeze::{FreezeError, LoadedFiles, owned};
pub use live::{Live, Place, asked_of, live_places};
pub use load::{Lack, Loaded, load, load_structure, load_with};
pub(crate) use models::doubts;
pub use prompts::read_prompt;
pub use schema::json_schema;
pub use upload::{
    CheckedCases, CheckedRecording, LineFault, Outgoing, UploadKind, check_cases, check_recording,
};
