//! `score:`: every entry becomes a scorer whose constant parts are known to make sense.

use std::rc::Rc;

use assay_common::decimal::read_decimal;
use assay_common::gate::Metric;
use assay_common::pattern::Pattern;
use assay_common::schema::Schema;
use assay_common::score::Millionths;
use assay_common::scorer::{Check, Extract, Scorer};
use serde_json::Value as Json;

use super::load::Loader;
use super::templates::Site;
use super::yaml::{Node, Value};

impl Loader<'_> {
    /// The scorers that can be read; what is wrong with the others has been reported.
    pub(super) fn scorers(&mut self, list: &Node) -> Vec<Scorer> {
        let mut scorers: Vec<Scorer> = Vec::new();
        let mut lightest = None;
        for node in list.items() {
            let Some(written) = node.get("type").and_then(Node::text) else { continue };
            let (negated, type_name) = match written.strip_prefix("not-") {
                Some(type_name) => (true, type_name),
                None => (false, written),
            };
            if let Some(metric) = node.get("metric")
                && let Some(name) = metric.text()
                && !matches!(Metric::parse(name), Metric::Named(_))
            {
                self.error(metric.at, format!("`{name}` is a metric of every run")).hint =
                    Some("choose another name".into());
            }
            let Some(check) = self.judged_by(type_name, node) else { continue };
            let weight = node.get("weight").and_then(Node::number).and_then(Millionths::from_f64);
            lightest = lightest.or(node.get("weight"));
            scorers.push(Scorer {
                check,
                negated,
                weight: weight.unwrap_or(Millionths::ONE),
                metric: node.get("metric").and_then(Node::text).map(str::to_owned),
                extract: node.get("extract").and_then(extract),
            });
        }
        let decides = |scorer: &Scorer| scorer.weight > Millionths::ZERO;
        if let Some(weight) = lightest.filter(|_| scorers.len() == list.items().len())
            && !scorers.iter().any(decides)
        {
            self.error(weight.at, "every scorer has the weight 0: every answer would pass").hint = Some(
                "at 0 a scorer is recorded and decides nothing: give one of them a weight above 0".into(),
            );
        }
        scorers
    }

    fn judged_by(&mut self, type_name: &str, node: &Node) -> Option<Check> {
        let value_node = node.get("value");
        let constant = match value_node {
            Some(value) => self.compile(value),
            None => true,
        };
        if type_name == "is-json" {
            if let (Some(value), true) = (value_node, constant) {
                self.check_schema(value);
            }
            return Some(Check::IsJson { value: value_node.map(as_written) });
        }
        let node_value = value_node?;
        if matches!(node_value.value, Value::Null) {
            self.error(node_value.at, "`value` has no value").hint =
                Some("write \"\" for an empty text".into());
        }
        let value = as_written(node_value);
        Some(match type_name {
            "equals" => Check::Equals { value },
            "contains" => Check::Contains { value },
            "icontains" => Check::Icontains { value },
            "contains-any" => Check::ContainsAny { value },
            "icontains-any" => Check::IcontainsAny { value },
            "contains-all" => Check::ContainsAll { value },
            "icontains-all" => Check::IcontainsAll { value },
            "starts-with" => Check::StartsWith { value },
            "regex" => {
                let pattern = node_value.text()?;
                if let (true, Err(error)) = (constant, Pattern::compile(pattern)) {
                    self.error(node_value.at, error.to_string()).hint =
                        Some("`contains` looks for a text as it stands".into());
                }
                Check::Regex { value: pattern.to_owned() }
            }
            "number" => {
                if constant && node_value.text().is_some_and(|text| read_decimal(text).is_none()) {
                    let text = node_value.text().unwrap_or_default();
                    self.error(node_value.at, format!("`{text}` is no number")).hint =
                        Some("write digits, such as 1234.5, or a template such as '{{ answer }}'".into());
                }
                Check::Number { value, tolerance: self.tolerance(node) }
            }
            _ => return None,
        })
    }

    /// Compiles every text in a value. Returns whether it is the same for every case.
    fn compile(&mut self, value: &Node) -> bool {
        let mut constant = true;
        for text in value.texts() {
            let site = Site { source: Rc::clone(&self.suite), bytes: text.bytes.clone(), mark: text.at };
            constant &= self.wants.add(text.text().unwrap_or_default(), site, &mut self.findings);
        }
        constant
    }

    fn check_schema(&mut self, value: &Node) {
        let schema = match value.json() {
            Json::String(text) => match serde_json::from_str(&text) {
                Ok(schema) => schema,
                Err(error) => {
                    self.error(value.at, format!("the schema is no JSON: {error}")).hint =
                        Some("write it as a YAML map, or as the text of a JSON object".into());
                    return;
                }
            },
            schema => schema,
        };
        if let Err(error) = Schema::compile(&schema) {
            self.error(value.at, schema_complaint(&error)).hint =
                Some("such as {type: object, required: [answer]}".into());
        }
    }

    fn tolerance(&mut self, node: &Node) -> String {
        let Some(tolerance) = node.get("tolerance") else { return "0".into() };
        let written = tolerance.text().unwrap_or_default();
        match read_decimal(written) {
            Some(decimal) => decimal.normalize().to_string(),
            None => {
                if tolerance.number().is_some() {
                    self.error(tolerance.at, format!("`{written}` has more than 28 digits")).hint =
                        Some("write fewer digits".into());
                }
                "0".into()
            }
        }
    }
}

/// What to say of a schema that does not compile.
pub(super) fn schema_complaint(error: &str) -> String {
    // The validator speaks of how it could be made to fetch things.
    let remote = error.contains("is not present in a registry");
    let error = if remote { "it refers to another document, and nothing is fetched" } else { error };
    format!("not a JSON Schema: {error}")
}

/// As JSON, a lone number as the text it was written as: `8.00` is not `8`.
fn as_written(node: &Node) -> Json {
    match &node.value {
        Value::Number(_, written) => written.as_str().into(),
        _ => node.json(),
    }
}

fn extract(node: &Node) -> Option<Extract> {
    Some(match node.text() {
        Some("last-number") => Extract::LastNumber,
        Some("last-line") => Extract::LastLine,
        Some(pattern) => Extract::Regex(pattern.to_owned()),
        None => Extract::Json(node.get("json")?.text()?.to_owned()),
    })
}
