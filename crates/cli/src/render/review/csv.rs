//! Every pass rate of a review as CSV, for a spreadsheet.

use assay_common::visible::visible;
use assay_coordinator::review::Review;

const HEADER: [&str; 11] =
    ["prompt", "owner", "version", "model", "suite", "run", "ended_at", "cases", "pass_rate", "low", "high"];

/// The pass rates as CSV with a header. A cell that a spreadsheet would take for a formula begins with an apostrophe.
pub(crate) fn csv(review: &Review) -> Result<String, std::io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for trend in &review.prompts {
        for point in &trend.points {
            let [low, high] = point.interval;
            writer.write_record([
                inert(&trend.prompt),
                inert(trend.owner.as_deref().unwrap_or_default()),
                point.version.map(|version| version.to_string()).unwrap_or_default(),
                inert(&point.model),
                inert(&point.suite),
                point.run.to_string(),
                point.at.clone(),
                point.cases.to_string(),
                point.pass_rate.to_string(),
                low.to_string(),
                high.to_string(),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// Text that no spreadsheet takes for a formula.
fn inert(text: &str) -> String {
    let text = visible(text);
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{text}") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_text() {
        let check = |text: &str, expected: &str| assert_eq!(inert(text), expected);
        check("support", "support");
        check("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
        check(" +1", "' +1");
        check("-2+3", "'-2+3");
        check("@SUM(A1)", "'@SUM(A1)");
        check("\t=1", "' =1");
        check("a=1", "a=1");
    }
}
