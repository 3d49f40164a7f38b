//! Prompts and models of a frozen suite.

use std::collections::HashSet;

use assay_common::config::{Config, ProviderKind};
use assay_common::model::Model;
use assay_common::prompt::PromptEntry;
use assay_common::score::Millionths;
use assay_common::suite::Suite;
use assay_common::template::Templates;

use super::super::hint::did_you_mean;
use super::super::models::{Impossible, impossible};
use super::Objections;

pub(super) fn prompts(prompts: &[PromptEntry], objections: &mut Objections) {
    if prompts.is_empty() {
        objections.add("prompts", "there is no prompt");
    }
    if prompts.iter().filter(|prompt| prompt.baseline).count() > 1 {
        objections.add("prompts", "more than one prompt is the baseline");
    }
    let mut labels = HashSet::new();
    for (index, prompt) in prompts.iter().enumerate() {
        let place = format!("prompts[{index}]");
        objections.name(&place, &prompt.name);
        objections.name(&place, &prompt.label);
        if let Some(owner) = &prompt.owner {
            objections.name(&place, owner);
        }
        if !labels.insert(&prompt.label) {
            objections.add(&place, format!("the label `{}` is taken by an earlier entry", prompt.label));
        }
        // The digest is the version's identity in every table: it is never taken on trust.
        if prompt.digest != prompt.body.digest() {
            objections.add(&place, "its digest is not that of its body");
        }
        if prompt.body.templates().all(|text| text.trim().is_empty()) {
            objections.add(&place, "the prompt is empty");
        }
        for template in prompt.body.templates() {
            if template.contains('\0') {
                objections.add(&place, "the prompt holds the character NUL");
            }
            if let Err(error) = Templates::default().add(template) {
                objections.add(&place, format!("not a template: {error}"));
            }
        }
    }
}

pub(super) fn models(suite: &Suite, config: &Config, objections: &mut Objections) {
    if suite.models.is_empty() {
        objections.add("models", "there is no model");
    }
    for (index, model) in suite.models.iter().enumerate() {
        let place = format!("models[{index}]");
        objections.name(&place, &model.model);
        let Some(provider) = config.provider(&model.provider) else {
            let hint = did_you_mean(&model.provider, config.provider_names())
                .map(|hint| format!("{hint} providers are configured in the coordinator's assay.toml"));
            objections.add(&place, format!("unknown provider `{}`", model.provider)).hint = hint;
            continue;
        };
        match (provider.kind, &model.recording) {
            (ProviderKind::Recorded, None) => {
                let message = format!("`{}` plays back a file of answers, but none is named", model.provider);
                objections.add(&place, message);
            }
            (ProviderKind::OpenAi | ProviderKind::Echo, Some(_)) => {
                let message =
                    format!("`{}` answers by itself: `file` is for recorded answers", model.provider);
                objections.add(&place, message);
            }
            _ => {}
        }
        if !sampling_makes_sense(model) {
            objections.add(&place, "a sampling parameter is out of its range");
        }
        for Impossible { message, hint } in impossible(model, config) {
            objections.add(&place, message).hint = Some(hint);
        }
        let costs = provider.kind == ProviderKind::OpenAi;
        if suite.budget.is_some() && costs && config.price(&model.name()).is_none() {
            let name = model.name();
            let message = format!("a budget needs prices, and that of `{name}` is unknown");
            objections.add(&place, message).hint =
                Some(format!("add [prices.\"{name}\"] to the coordinator's assay.toml"));
        }
    }
}

fn sampling_makes_sense(model: &Model) -> bool {
    let sampling = &model.sampling;
    let within = |value: Option<Millionths>, low: f64, high: f64| {
        value.is_none_or(|value| (low..=high).contains(&value.as_f64()))
    };
    within(sampling.temperature, 0.0, 2.0)
        && within(sampling.top_p, 0.0, 1.0)
        && within(sampling.frequency_penalty, -2.0, 2.0)
        && within(sampling.presence_penalty, -2.0, 2.0)
        && sampling.max_tokens != Some(0)
        && !sampling.stop.iter().any(|stop| stop.contains('\0'))
}
