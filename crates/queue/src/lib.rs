//! The Queue port and its adapters: hints that a job is waiting, never its state.
