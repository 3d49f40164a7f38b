//! Limits: a line for each, who has how much of it, what today has cost, and why a limit is not what files say.

use std::fmt::Write as _;

use assay_common::limit::Dimension;
use assay_common::visible::visible_line;
use assay_coordinator::limits::{LimitEntry, LimitsDocument, MoneyEntry, resume_command};

use super::table;

/// Workers that are named for each limit; the document has all of them.
const WORKERS: usize = 10;

/// All limits, or those of one account or model.
pub(crate) fn limits(document: &LimitsDocument, of: Option<&str>) -> String {
    if document.limits.is_empty() && document.money.is_empty() {
        let of = of.map(|scope| format!(" of {}", visible_line(scope)));
        return format!(
            "no limits{}: assay.toml names none, nobody has set one, and no worker calls {}\n",
            of.as_deref().unwrap_or_default(),
            if of.is_some() { "it" } else { "a provider" },
        );
    }
    let mut text = String::new();
    if !document.limits.is_empty() {
        let mut table = table(&["SCOPE", "COUNTS", "LIMIT", "GRANTED", "USED", "WORKERS"], &[2, 3, 4, 5]);
        for limit in &document.limits {
            table.add_row([
                visible_line(&limit.scope).into_owned(),
                counts(limit.dimension).to_owned(),
                limit.limit.map_or_else(|| "unknown".to_owned(), |limit| limit.to_string()),
                amount(limit.granted),
                limit.used.to_string(),
                limit.leases.len().to_string(),
            ]);
            let mut shown = limit.leases.iter().filter(|lease| lease.granted != Some(0.0));
            for lease in shown.by_ref().take(WORKERS) {
                let who = match (&lease.host, lease.process) {
                    (Some(host), Some(process)) => format!("  {host}, process {process}"),
                    _ => format!("  {}", lease.worker),
                };
                let row =
                    [visible_line(&who).into_owned(), String::new(), String::new(), amount(lease.granted)];
                table.add_row(row);
            }
            let more = shown.count();
            if more > 0 {
                table.add_row([format!("  and {more} more; --json has all")]);
            }
        }
        let _ = writeln!(text, "{}", table.trim_fmt());
    }
    for limit in &document.limits {
        notes(&mut text, limit);
    }
    for money in &document.money {
        spent(&mut text, money);
    }
    text
}

fn counts(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Requests => "requests a minute",
        Dimension::Tokens => "tokens a minute",
        Dimension::InputTokens => "input tokens a minute",
        Dimension::OutputTokens => "output tokens a minute",
        Dimension::InFlight => "requests in flight",
    }
}

fn amount(amount: Option<f64>) -> String {
    amount.map_or_else(|| "no limit".to_owned(), |amount| amount.to_string())
}

/// What else is to be known of a limit, a line each. Writing to a String cannot fail.
fn notes(text: &mut String, limit: &LimitEntry) {
    let whose = format!("{}, {}", visible_line(&limit.scope), counts(limit.dimension));
    if let Some(until) = &limit.paused_until {
        let lifts = resume_command(&limit.scope);
        let _ = writeln!(text, "{whose}: no call begins before {until}; {} lifts that", visible_line(&lifts));
    }
    if let Some(set) = &limit.set {
        let _ = writeln!(
            text,
            "{whose}: set to {} by {} at {}: {}{}",
            set.to,
            visible_line(&set.by),
            set.at,
            visible_line(&set.reason),
            limit.configured.map_or_else(String::new, |configured| format!(" (files: {})", configured.least))
        );
    }
    if let Some(learned) = &limit.learned {
        let _ = writeln!(text, "{whose}: the provider says {}, last at {}", learned.limit, learned.at);
    }
    if let Some(cut) = limit.cut_to {
        let _ = writeln!(text, "{whose}: held to {cut} since the provider refused more; it grows again");
    }
    if let Some(others) = limit.others {
        let _ = writeln!(text, "{whose}: about {others} are used by somebody else");
    }
    for why in &limit.why {
        let _ = writeln!(text, "{whose}: {}", visible_line(why));
    }
}

fn spent(text: &mut String, money: &MoneyEntry) {
    let MoneyEntry { account, cap, spent, reserved, ends_at, .. } = money;
    let account = visible_line(account);
    let _ = writeln!(
        text,
        "{account}, money: ${spent} of ${cap} for the day that ends at {ends_at}, ${reserved} is set aside"
    );
    if let Some(set) = &money.set {
        let (by, reason) = (visible_line(&set.by), visible_line(&set.reason));
        let _ = writeln!(text, "{account}, money: set to ${} by {by} at {}: {reason}", set.to, set.at);
    }
    for why in &money.why {
        let _ = writeln!(text, "{account}, money: {}", visible_line(why));
    }
}

#[cfg(test)]
mod tests {
    use assay_coordinator::limits::Lease;
    use assay_coordinator::limits::document::{Configured, LearnedLimit, SetTo};

    use super::*;

    fn lease(host: Option<&str>, granted: Option<f64>) -> Lease {
        let (worker, host, process) = ("0190".to_owned(), host.map(str::to_owned), host.map(|_| 12));
        Lease { worker, host, process, granted, wanted: None }
    }

    fn requests() -> LimitEntry {
        LimitEntry {
            scope: "openai".to_owned(),
            dimension: Dimension::Requests,
            limit: Some(600),
            configured: Some(Configured { least: 500, most: 500 }),
            set: Some(SetTo {
                to: 700.0,
                by: "ann".to_owned(),
                at: "2026-11-23T09:00:00Z".to_owned(),
                reason: "tier 4".to_owned(),
            }),
            learned: Some(LearnedLimit { limit: 600, at: "2026-11-23T09:01:00Z".to_owned() }),
            cut_to: Some(540.5),
            others: None,
            granted: Some(530.0),
            used: 498,
            senders: None,
            paused_until: Some("2026-11-23T09:01:09Z".to_owned()),
            why: vec!["the provider has refused a call for its rate".to_owned()],
            leases: vec![lease(Some("blue"), Some(530.0)), lease(None, Some(0.0))],
        }
    }

    #[test]
    fn a_line_for_each_limit_and_one_for_each_reason() {
        let unlimited = LimitEntry {
            scope: "local".to_owned(),
            limit: None,
            configured: None,
            set: None,
            learned: None,
            cut_to: None,
            granted: None,
            paused_until: None,
            why: Vec::new(),
            leases: vec![lease(None, None)],
            ..requests()
        };
        let money = MoneyEntry {
            account: "openai".to_owned(),
            cap: 5.0,
            configured: [5.0; 2],
            set: None,
            spent: 4.25,
            reserved: 0.5,
            ends_at: "2026-11-24T00:00:00Z".to_owned(),
            why: Vec::new(),
        };
        let document = LimitsDocument { limits: vec![unlimited, requests()], money: vec![money] };
        let expected = "\
SCOPE               COUNTS               LIMIT   GRANTED  USED  WORKERS
local               requests a minute  unknown  no limit   498        1
0190                                          no limit
openai              requests a minute      600       530   498        2
blue, process 12                                   530
openai, requests a minute: no call begins before 2026-11-23T09:01:09Z; `assay limits resume openai --reason TEXT` lifts that
openai, requests a minute: set to 700 by ann at 2026-11-23T09:00:00Z: tier 4 (files: 500)
openai, requests a minute: the provider says 600, last at 2026-11-23T09:01:00Z
openai, requests a minute: held to 540.5 since the provider refused more; it grows again
openai, requests a minute: the provider has refused a call for its rate
openai, money: $4.25 of $5 for the day that ends at 2026-11-24T00:00:00Z, $0.5 is set aside
";
        // Cells end where their column does.
        let found: String =
            limits(&document, None).lines().map(|line| format!("{}\n", line.trim())).collect();
        assert_eq!(found, expected);
        let nothing = |of| limits(&LimitsDocument::default(), of);
        assert!(nothing(None).starts_with("no limits: assay.toml names none, nobody has set one"));
        assert!(
            nothing(Some("openai")).starts_with("no limits of openai: ")
                && nothing(Some("openai")).ends_with("calls it\n")
        );
    }
}
