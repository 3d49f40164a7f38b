//! `gate:`: rules that name metrics, slices and bounds that exist.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use assay_common::config::Span;
use assay_common::gate::{Amount, Bound, Estimand, Gate, Metric, Rule, Tier};
use assay_common::score::Millionths;

use super::alike::Judging;
use super::cases::census::{Census, Slice};
use super::hint::{counted, did_you_mean};
use super::load::Loader;
use super::models::price_of;
use super::recordings::Lacking;
use super::yaml::{Entry, Node};

/// What the rest of the suite offers to a gate.
pub(super) struct Offer<'a> {
    /// Metrics that scorers name.
    pub(super) metrics: BTreeSet<&'a str>,
    /// Tags that cases declare.
    pub(super) tags: BTreeSet<&'a str>,
    /// Prompt entries: one alone has no baseline.
    pub(super) prompts: usize,
    /// The channel where the baseline would be live, and nothing is.
    pub(super) nothing_live: Option<&'a str>,
    /// Trials of each case.
    pub(super) repeats: u32,
    /// Whether answers are scored at all.
    pub(super) scored: bool,
    /// How they are.
    pub(super) judging: Judging<'a>,
    /// The cases, where all of them could be counted.
    pub(super) census: Option<&'a Census>,
    /// Files of recorded answers that lack what rules on latency and cost look at.
    pub(super) lacking: Vec<Lacking>,
    /// Models whose price nobody says.
    pub(super) unpriced: BTreeSet<String>,
    /// One whose price is known and above nothing.
    pub(super) priced: Option<String>,
    /// One of which no latency is ever measured.
    pub(super) timeless: Option<String>,
}

/// The slices that the rules of a gate look at.
pub(super) fn slices(gate: &Node) -> Vec<Slice> {
    let rules = gate.get("rules").map(Node::items).unwrap_or_default();
    rules.iter().filter_map(|rule| rule.get("slice")).map(slice_of).collect()
}

fn slice_of(node: &Node) -> Slice {
    let text = |entry: &Entry| Some((entry.key.clone(), entry.value.text()?.to_owned()));
    node.entries().iter().filter_map(text).collect()
}

/// The trials of a case that a run may come to: whole rounds of `repeats`, as many as fit into `max_repeats`.
pub(super) fn most_trials(gate: &Node, repeats: u32) -> u32 {
    let most = gate.get("max_repeats").and_then(Node::integer).and_then(|most| u32::try_from(most).ok());
    most.map_or(repeats, |most| repeats.max(most / repeats * repeats))
}

impl Loader<'_> {
    /// The gate, as far as it can be read.
    pub(super) fn gate(&mut self, node: &Node, offer: &Offer<'_>) -> Gate {
        let millionths = |key: &str| node.get(key).and_then(Node::share).and_then(Millionths::from_f64);
        let confidence = millionths("confidence").unwrap_or(Millionths(950_000));
        let min_cases = node.get("min_cases");
        let least = min_cases.and_then(Node::integer).and_then(|least| u64::try_from(least).ok());
        if let (Some(node), Some(least), Some(cases)) = (min_cases, least, offer.census.map(Census::cases))
            && cases < least
        {
            let message =
                format!("the suite has {}: this gate is always inconclusive", counted(cases, "case"));
            self.warning(node.at, message).hint = Some("demand fewer cases, or add some".into());
        }
        let (max_cases, max_repeats) = self.topping_up(node, least, offer);
        let mut gate = Gate {
            confidence,
            stop_early: node.get("stop_early").and_then(Node::flag).unwrap_or(false),
            max_error_rate: millionths("max_error_rate"),
            min_cases: least,
            max_cases,
            max_repeats,
            expires_seconds: node.get("expires").and_then(seconds),
            nothing_live: offer.nothing_live.map(str::to_owned),
            rules: Vec::new(),
        };
        let mut names = HashMap::new();
        for node in node.get("rules").map(Node::items).unwrap_or_default() {
            let Some(rule) = self.rule(node, offer) else { continue };
            self.check_prospect(node, &gate, &rule, offer);
            self.check_never(node, &rule, &names, &gate, offer);
            let at = node.get("name").unwrap_or(node).at;
            if let Some(first) = names.insert(rule.name.clone(), at.line) {
                self.error(at, format!("the rule `{}` is already on line {first}", rule.name)).hint =
                    Some("delete one, or give them names of their own".into());
            }
            gate.rules.push(rule);
        }
        if let Some(first) = node.get("rules").and_then(|rules| rules.items().first())
            && gate.rules.iter().all(|rule| rule.tier == Tier::Advisory)
            && !gate.rules.is_empty()
        {
            let at = first.get("tier").unwrap_or(first).at;
            self.warning(at, "every rule is advisory: this gate never decides").hint =
                Some("make one of them critical or supporting".into());
        }
        gate
    }

    /// `max_cases` and `max_repeats`.
    fn topping_up(
        &mut self,
        gate: &Node,
        least: Option<u64>,
        offer: &Offer<'_>,
    ) -> (Option<u64>, Option<u32>) {
        let whole = |key: &str| gate.get(key).and_then(|node| Some((node.at, node.integer()?)));
        let cases = whole("max_cases").and_then(|(at, most)| Some((at, u64::try_from(most).ok()?)));
        if let (Some((at, most)), Some(least)) = (cases, least)
            && most < least
        {
            let message =
                format!("at most {} are drawn, and `min_cases` demands {least}", counted(most, "case"));
            self.error(at, message).hint = Some("draw as many as are demanded, or more".into());
        }
        let repeats = whole("max_repeats").and_then(|(at, most)| Some((at, u32::try_from(most).ok()?)));
        if let Some((at, most)) = repeats
            && most / 2 < offer.repeats
        {
            let trials = counted(offer.repeats.into(), "trial");
            let message =
                format!("no further round of {trials} fits into {most}: `max_repeats` has no effect");
            self.warning(at, message).hint =
                Some(format!("allow {} or more, or leave it out", u64::from(offer.repeats) * 2));
        }
        (cases.map(|(_, most)| most), repeats.map(|(_, most)| most))
    }

    fn rule(&mut self, node: &Node, offer: &Offer<'_>) -> Option<Rule> {
        let metric_node = node.get("metric")?;
        let metric = Metric::parse(metric_node.text()?);
        if let Metric::Named(name) = &metric
            && let Some(written) = name.strip_prefix("latency_p").and_then(|rest| rest.strip_suffix("_ms"))
            && !offer.metrics.contains(name.as_str())
        {
            let message =
                format!("`{written}` is no quantile of latency: a percentage from 1 to 99 is wanted");
            self.error(metric_node.at, message).hint = Some("write `latency_p95_ms` or another one".into());
            return None;
        }
        if let Metric::Named(name) = &metric
            && !offer.metrics.contains(name.as_str())
        {
            let known = offer.metrics.iter().copied().chain(Metric::FIXED);
            self.error(metric_node.at, format!("no scorer has the metric `{name}`")).hint =
                did_you_mean(name, known).or(Some("give a scorer this `metric`".into()));
        }
        if matches!(metric, Metric::PassRate | Metric::MeanScore) && !offer.scored {
            let message = format!("nothing is scored: every answer would pass, and `{metric}` be 1");
            self.error(metric_node.at, message).hint = Some("add `score:` to judge answers".into());
        } else if metric == Metric::PassRate && offer.judging.passes_all() {
            let message = "at a `threshold` of 0 every answer would pass, and `pass_rate` be 1";
            self.error(metric_node.at, message).hint = Some(
                "demand a weighted score above 0, or leave `threshold` out: then all scorers have to pass"
                    .into(),
            );
        }
        if let (Metric::CostPerCase, Some(name)) = (&metric, offer.unpriced.first()) {
            let message = format!("the price of `{name}` is unknown: this rule is always inconclusive");
            self.warning(metric_node.at, message).hint = Some(price_of(name));
        }
        if let (Metric::Latency(_), Some(name)) = (&metric, &offer.timeless) {
            let message = format!("no latency is measured of `{name}`: this rule is always inconclusive");
            self.warning(metric_node.at, message).hint =
                Some("leave it out, or try the prompts on a model that is asked over a network".into());
        }
        let of_all = node.get("slice").is_none();
        let lacks = offer.lacking.iter().find_map(|file| file.told(&metric, of_all));
        if let Some((message, hint)) = lacks {
            self.warning(metric_node.at, message).hint = Some(hint.into());
        }
        let slice = self.slice(node, offer);
        let bound = self.bound(node, &metric, offer)?;
        let estimand = match node.get("estimand").and_then(Node::text) {
            Some("population") => Estimand::Population,
            Some(_) => Estimand::Suite,
            None if bound.1.compares() => Estimand::Population,
            None => Estimand::Suite,
        };
        let tier = match node.get("tier").and_then(Node::text) {
            Some("supporting") => Tier::Supporting,
            Some("advisory") => Tier::Advisory,
            _ => Tier::Critical,
        };
        let (written, bound) = bound;
        let name = node.get("name").and_then(Node::text).map(str::to_owned);
        let name = name.unwrap_or_else(|| default_name(&metric, &bound, &written, &slice));
        Some(Rule { name, metric, slice, bound, tier, estimand })
    }

    fn slice(&mut self, node: &Node, offer: &Offer<'_>) -> Slice {
        let Some(node) = node.get("slice") else { return Slice::new() };
        let slice = slice_of(node);
        let mut wrong = false;
        for entry in node.entries() {
            let tag = &entry.key;
            if !offer.tags.contains(tag.as_str()) {
                wrong = true;
                self.error(entry.at, format!("no case declares the tag `{tag}`")).hint =
                    did_you_mean(tag, offer.tags.iter().copied())
                        .or(Some("list it under `tags` of a file of cases".into()));
            } else if let (Some(census), Some(value)) = (offer.census, entry.value.text())
                && census.values_of(tag).all(|known| known != value)
            {
                wrong = true;
                self.error(entry.value.at, format!("no case has the value `{value}` of the tag `{tag}`"))
                    .hint = did_you_mean(value, census.values_of(tag))
                    .or(Some("a rule on no case can never decide".into()));
            }
        }
        if !wrong && offer.census.is_some_and(|census| census.extent(&slice).cases == 0) {
            self.error(node.at, "no case has all of these tags").hint =
                Some("each of them alone has cases; a rule on no case can never decide".into());
        }
        slice
    }

    /// The rule's bound and its number as written.
    fn bound(&mut self, node: &Node, metric: &Metric, offer: &Offer<'_>) -> Option<(String, Bound)> {
        type Make = fn(Amount) -> Bound;
        let forms: [(&str, Make); 4] = [
            ("min", Bound::Min),
            ("max", Bound::Max),
            ("max_drop", Bound::MaxDrop),
            ("max_increase", Bound::MaxIncrease),
        ];
        let (entry, make) = forms.iter().find_map(|(key, make)| Some((node.entry(key)?, make)))?;
        let amount = entry.value.share()?;
        let bound = make(Amount::from_f64(amount)?);
        let written = entry.value.text().unwrap_or_default().to_owned();
        if let (true, Some(channel)) = (bound.compares(), offer.nothing_live) {
            let message =
                format!("nothing is live on {channel} to compare with: this rule is always inconclusive");
            self.warning(entry.at, message).hint = Some(
                "a first version is promoted on a suite whose rules are about it alone (`min`, `max`)".into(),
            );
        } else if bound.compares() && offer.prompts == 1 {
            self.error(
                entry.at,
                format!("`{}` compares with a baseline, and a sole prompt has none", entry.key),
            )
            .hint = Some("add the version it is compared with to `prompts`".into());
        }
        let wrong_way = match bound {
            Bound::Min(_) if !metric.higher_is_better() => Some("max"),
            Bound::MaxDrop(_) if !metric.higher_is_better() => Some("max_increase"),
            Bound::MaxIncrease(_) if metric.higher_is_better() => Some("max_drop"),
            _ => None,
        };
        if let Some(other) = wrong_way {
            let better = if metric.higher_is_better() { "more" } else { "less" };
            self.error(
                entry.at,
                format!("of `{metric}` {better} is better: `{}` would not guard it", entry.key),
            )
            .hint = Some(format!("did you mean `{other}`?"));
        }
        let is_rate = metric.higher_is_better();
        let is_share = is_rate || matches!(bound, Bound::MaxIncrease(_));
        if is_rate && amount > 1.0 {
            self.error(entry.value.at, format!("`{metric}` lies between 0 and 1, and {written} does not"))
                .hint = Some(format!("write {} or {amount}%", amount / 100.0));
        } else if !is_share && written.ends_with('%') {
            self.error(entry.value.at, format!("`{metric}` is no share: {written} of what?")).hint =
                Some("write the number in the metric's own unit".into());
        }
        Some((written, bound))
    }
}

/// `pass_rate max_drop 0.02 [language=de]`.
fn default_name(metric: &Metric, bound: &Bound, written: &str, slice: &Slice) -> String {
    let mut name = format!("{metric} {} {written}", bound.key());
    if !slice.is_empty() {
        let parts: Vec<_> = slice.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
        name.push_str(&format!(" [{}]", parts.join(", ")));
    }
    name
}

/// A length of time in whole seconds, rounded up.
pub(super) fn seconds(node: &Node) -> Option<u64> {
    let Span(duration) = node.text()?.parse().ok()?;
    Some(duration.as_secs() + u64::from(duration > Duration::from_secs(duration.as_secs())))
}
