//! The Store: the truth about runs and jobs, and the only SQL. SQLite and PostgreSQL from one text.
//!
//! What stands under everything:
//!
//! - [`url`]: where a store is; [`open`]: opening it, its schema; [`lock`]: one owner for a SQLite file; `holders`: who else
//!   keeps it locked
//! - `pools`: the two databases, and the macros that run one body on either; `bulk`: many rows in one statement; `journal`: what
//!   is kept beside a SQLite file
//! - [`seam`]: what a simulation puts between a process and its store
//! - [`error`]: what can go wrong; `row`: from columns back to types
//!
//! What a run meets, in its order:
//!
//! - [`dataset`], [`recording`], [`revision`]: what is frozen before a run exists
//! - [`run`]: a run and its state; [`expand`]: its jobs; [`due`]: which of them may be dispatched
//! - [`member`]: who can hold claims; [`claim`], [`settle`], [`release`]: a job taken and given back; [`reserve`]: money set
//!   aside in between, [`spending`]: by account and day, [`response`]: what was answered; [`suspect`]: jobs whose members die
//! - [`attempt`]: a run that its gate ends early or gives more jobs; [`cancel`], [`finish`]: how a run ends; [`account`]:
//!   what a provider account suffers from
//! - `ledger`: who may use how much of a provider's limits; pure. [`lease`]: its rows; [`limit`]: what an operator sees and sets;
//!   [`resume`]: what he lifts
//! - [`leader`]: whose word counts in a fleet; [`pool`]: the queues its open runs need
//! - [`submission`], [`steer`], [`redrive`]: a run asked for, paused, resumed, stopped and asked again by somebody;
//!   [`standing`]: what it waits for
//! - [`token`], [`audit`]: who may ask, and what was asked
//! - [`verdict`]: what gates said; [`registry`], [`channel`], [`incident`]: prompts, what is live where, what is wrong with it
//! - [`event`], [`outbox`]: what happened, and who is told of it; [`run_end`], [`period`]: looking back; [`risk`], [`range`]: what a
//!   team has taken on, and what it takes for acceptable
//! - [`schedule`], [`sweep`], [`baseline`]: what is live swept in time, and held against what it came to at first
//! - [`quarantine`]: cases whose part in a verdict is shown beside it
//! - [`outcome`], [`result`], [`packed`], [`trials`], [`history`]: reading what came out; [`prune`]: removing what is old;
//!   [`maintenance`]: around the store rather than in it
//!
//! **Invariant:** every write to a database is one transaction in a task of its own that no caller can cancel half-way.

pub mod account;
pub mod attempt;
pub mod audit;
pub mod baseline;
mod bulk;
pub mod cancel;
pub mod channel;
pub mod claim;
pub mod dataset;
pub mod due;
pub mod error;
pub mod event;
pub mod expand;
pub mod finish;
pub mod history;
mod holders;
pub mod incident;
mod job_state;
mod journal;
pub mod leader;
pub mod lease;
pub mod ledger;
pub mod limit;
pub mod lock;
pub mod maintenance;
pub mod member;
pub mod open;
pub mod outbox;
pub mod outcome;
pub mod packed;
pub mod period;
pub mod pool;
mod pools;
pub mod prune;
pub mod quarantine;
pub mod range;
pub mod recording;
pub mod redrive;
pub mod registry;
pub mod release;
pub mod reserve;
pub mod response;
pub mod result;
pub mod resume;
pub mod revision;
pub mod risk;
mod row;
pub mod run;
pub mod run_end;
pub mod schedule;
pub mod seam;
pub mod settle;
pub mod spending;
pub mod standing;
pub mod steer;
pub mod submission;
pub mod suspect;
pub mod sweep;
pub mod token;
pub mod trials;
pub mod url;
pub mod verdict;

pub use account::AccountProblem;
pub use attempt::Attempt;
pub use audit::AuditEntry;
pub use baseline::NewBaseline;
pub use channel::{Move, Moved, Release, ReleaseKind};
pub use dataset::TaggedUnit;
pub use error::StoreError;
pub use event::Event;
pub use expand::NewJob;
pub use incident::{Incident, IncidentChange, IncidentEvent, IncidentKind, NewIncident, Opened};
pub use leader::{Candidacy, Mandate};
pub use lease::Renewal;
pub use ledger::{Answer, Ask, Firm, Profile, Refusal, Said, Why};
pub use limit::{Gathers, Leased, LimitRow};
pub use lock::FileLock;
pub use maintenance::{create_database, drop_database};
pub use member::{Member, Offer};
pub use open::{Schema, Store};
pub use outbox::Delivery;
pub use outcome::OutcomeRow;
pub use packed::{CaseName, Mark};
pub use pool::{OpenPool, RunPool};
pub use quarantine::Quarantine;
pub use range::{Range, Signal, Subject};
pub use registry::{Prompt, Provenance, Version};
pub use reserve::SetAside;
pub use result::ResultRow;
pub use risk::{NewRisk, Risk};
pub use run::{NewRun, Run, RunState};
pub use run_end::{RunEnd, Sums, VariantSum, Wavering};
pub use schedule::{Schedule, ScheduleChange};
pub use spending::{SetCap, Spending};
pub use standing::Standing;
pub use steer::Steered;
pub use submission::{Submission, Submitted};
pub use suspect::Suspect;
pub use sweep::{Judged, Look, LookOutcome, NewSweep, Sweep, Target};
pub use token::{Scope, Token};
pub use trials::CaseTrials;
pub use url::StoreUrl;
pub use verdict::Verdict;
