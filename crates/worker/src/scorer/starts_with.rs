//! `starts-with`: the output begins with the text.

use super::{Grade, quoted};

pub(super) fn grade(prefix: &str, output: &str) -> Grade {
    if output.starts_with(prefix) {
        Grade { pass: true, reason: format!("starts with {}", quoted(prefix)) }
    } else {
        Grade { pass: false, reason: format!("{} does not start with {}", quoted(output), quoted(prefix)) }
    }
}
