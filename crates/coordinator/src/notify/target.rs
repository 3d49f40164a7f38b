//! Where messages go: a webhook of assay.toml with what the environment adds to it.

use assay_common::config::{Config, Webhook, WebhookFormat};
use reqwest::Url;

use super::sign::secret;

/// A webhook.
pub(super) struct Target<'c> {
    /// Its name in assay.toml.
    pub(super) name: &'c str,
    /// What assay.toml says of it.
    pub(super) webhook: &'c Webhook,
    /// How it is reached; what is wrong where it cannot be.
    pub(super) way: Result<Way, String>,
}

/// How a webhook is reached.
pub(super) struct Way {
    /// Where.
    pub(super) url: Url,
    /// What messages are signed with.
    pub(super) secret: Option<Vec<u8>>,
    /// Their shape.
    pub(super) format: WebhookFormat,
    /// Whether it may be inside a private network.
    pub(super) allow_private: bool,
}

/// The webhooks of a configuration; `variable` reads the environment.
pub(super) fn targets(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Vec<Target<'_>> {
    let target = |name, webhook| Target { name, webhook, way: way(webhook, &variable) };
    config.webhooks.iter().map(|(name, webhook)| target(name.as_str(), webhook)).collect()
}

fn way(webhook: &Webhook, variable: &impl Fn(&str) -> Option<String>) -> Result<Way, String> {
    let read = |name: &String| {
        let value = variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("{name} is not set in the environment"))
    };
    let url = match (&webhook.url, &webhook.url_env) {
        (Some(url), _) => url.clone(),
        (None, Some(name)) => read(name)?,
        (None, None) => return Err("it has no URL".to_owned()),
    };
    // An error would repeat the URL, which may be a secret.
    let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| "its URL is no http or https URL".to_owned())?;
    let signed = |name: &String| {
        let text = read(name)?;
        secret(&text).map_err(|why| format!("the secret in {name} cannot be used: {why}"))
    };
    let secret = webhook.secret_env.as_ref().map(signed).transpose()?;
    Ok(Way { url, secret, format: webhook.format, allow_private: webhook.allow_private })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way to the webhook `x` with these settings, where the environment has URL, BAD and SECRET.
    fn check(settings: &str, expected: Result<&str, &str>) {
        let config = Config::parse(&format!("[webhooks.x]\n{settings}")).unwrap();
        let variable = |name: &str| match name {
            "URL" => Some(" https://example.com/T0/secret\n".to_owned()),
            "BAD" => Some("example.com/T0/secret".to_owned()),
            "SECRET" => Some("whsec_c2VjcmV0".to_owned()),
            _ => None,
        };
        let targets = targets(&config, variable);
        let way = targets[0].way.as_ref().map(|way| way.url.as_str()).map_err(String::as_str);
        assert_eq!(way, expected, "{settings}");
    }

    #[test]
    fn says_what_is_missing_and_shows_no_secret() {
        check("url_env = \"URL\"\nformat = \"slack\"", Ok("https://example.com/T0/secret"));
        check("url_env = \"BAD\"\nformat = \"slack\"", Err("its URL is no http or https URL"));
        check("url_env = \"GONE\"\nformat = \"slack\"", Err("GONE is not set in the environment"));
        check("url = \"https://a\"\nsecret_env = \"SECRET\"", Ok("https://a/"));
        check("url = \"https://a\"\nsecret_env = \"GONE\"", Err("GONE is not set in the environment"));
    }
}
