//! Scorers of a frozen suite: their templates compile, and so does what is the same for every case.

use assay_common::decimal::read_decimal;
use assay_common::gate::Metric;
use assay_common::jsonpath::JsonPath;
use assay_common::pattern::Pattern;
use assay_common::schema::Schema;
use assay_common::scorer::{Check, Extract, Scorer};
use assay_common::template::Templates;
use serde_json::Value;

use super::super::layout::MAX_WEIGHT;
use super::super::scorers::schema_complaint;
use super::super::templates::without_templates;
use super::Objections;

pub(super) fn scorers(scorers: &[Scorer], objections: &mut Objections) {
    for (index, scorer) in scorers.iter().enumerate() {
        let place = format!("scorers[{index}]");
        if let Some(metric) = &scorer.metric {
            objections.name(&place, metric);
            if !matches!(Metric::parse(metric), Metric::Named(_)) {
                objections.add(&place, format!("`{metric}` is a metric of every run; choose another name"));
            }
        }
        if !(0.0..=MAX_WEIGHT).contains(&scorer.weight.as_f64()) {
            objections.add(&place, format!("a weight lies between 0 and {MAX_WEIGHT}"));
        }
        let extract = match &scorer.extract {
            Some(Extract::Regex(pattern)) => Pattern::compile(pattern).err().map(|error| error.to_string()),
            Some(Extract::Json(path)) => JsonPath::compile(path).err().map(|error| error.to_string()),
            Some(Extract::LastNumber | Extract::LastLine) | None => None,
        };
        if let Some(complaint) = extract.or_else(|| complaint(&scorer.check)) {
            objections.add(&place, complaint);
        }
    }
}

/// What is wrong with what a scorer asks for.
fn complaint(check: &Check) -> Option<String> {
    match check {
        Check::Equals { value }
        | Check::Contains { value }
        | Check::Icontains { value }
        | Check::ContainsAny { value }
        | Check::IcontainsAny { value }
        | Check::ContainsAll { value }
        | Check::IcontainsAll { value }
        | Check::StartsWith { value } => not_templates(value),
        Check::Regex { value } => not_templates(&Value::String(value.clone())).or_else(|| {
            let constant = without_templates(value);
            constant.then(|| Pattern::compile(value).err()).flatten().map(|error| error.to_string())
        }),
        Check::Number { value, tolerance } => not_templates(value).or_else(|| {
            let text = value.as_str().filter(|text| without_templates(text));
            let wrong =
                text.into_iter().chain([tolerance.as_str()]).find(|text| read_decimal(text).is_none());
            wrong.map(|text| format!("`{text}` is no number"))
        }),
        Check::IsJson { value: None } => None,
        Check::IsJson { value: Some(value) } => not_templates(value).or_else(|| schema(value)),
    }
}

fn not_templates(value: &Value) -> Option<String> {
    Templates::default().add_value(value).err().map(|error| format!("not a template: {error}"))
}

/// A schema that is the same for every case has to compile.
fn schema(value: &Value) -> Option<String> {
    let mut templates = Templates::default();
    let constant = templates.add_value(value).is_ok_and(|value| value.is_constant(&templates));
    let parsed = match value {
        Value::String(text) if constant => match serde_json::from_str(text) {
            Ok(schema) => schema,
            Err(error) => return Some(format!("the schema is no JSON: {error}")),
        },
        schema if constant => schema.clone(),
        _ => return None,
    };
    Schema::compile(&parsed).err().map(|error| schema_complaint(&error))
}
