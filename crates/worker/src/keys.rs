//! API keys: found where assay.toml says, sent to their provider, shown nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use assay_common::config::Config;

/// The keys of the providers a process calls.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    found: BTreeMap<String, Secret>,
    /// Providers that need a key this process has not, and why.
    missing: BTreeMap<String, String>,
}

/// Why a provider has no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The environment does not hold it.
    #[error("the key of provider `{provider}` is missing: set {variable}")]
    MissingVariable {
        /// The provider.
        provider: String,
        /// The environment variable that should hold it.
        variable: String,
    },
    /// Its file cannot be read.
    #[error("the key of provider `{provider}` is missing: cannot read {}", path.display())]
    MissingFile {
        /// The provider.
        provider: String,
        /// The file that should hold it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It cannot be sent in a header.
    #[error(
        "the key of provider `{provider}` in {place} is empty or holds more than one line of visible ASCII"
    )]
    Unusable {
        /// The provider.
        provider: String,
        /// The variable or the file.
        place: String,
    },
}

impl Keys {
    /// Reads the key of each of `providers` that names one. Blocks on small files: call it at start.
    pub fn resolve<'p>(
        config: &Config,
        providers: impl IntoIterator<Item = &'p str>,
    ) -> Result<Self, KeyError> {
        Self::resolve_from(config, providers, from_environment)
    }

    fn resolve_from<'p>(
        config: &Config,
        providers: impl IntoIterator<Item = &'p str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, KeyError> {
        let mut keys = Self::default();
        for name in providers {
            if let Some(secret) = find(config, name, &variable)? {
                keys.found.insert(name.to_owned(), secret);
            }
        }
        Ok(keys)
    }

    /// Reads the key of every provider there is, as far as they can be found. Blocks as [`Keys::resolve`] does.
    pub fn gather(config: &Config) -> Self {
        Self::gather_from(config, from_environment)
    }

    fn gather_from(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut keys = Self::default();
        for name in config.provider_names() {
            match find(config, name, &variable) {
                Ok(Some(secret)) => _ = keys.found.insert(name.to_owned(), secret),
                Ok(None) => {}
                Err(error) => _ = keys.missing.insert(name.to_owned(), error.to_string()),
            }
        }
        keys
    }

    /// The key of a provider, if it has one.
    pub(crate) fn of(&self, provider: &str) -> Option<&Secret> {
        self.found.get(provider)
    }

    /// Providers that need a key this process has not, and why, by name.
    pub fn missing(&self) -> &BTreeMap<String, String> {
        &self.missing
    }

    /// Whether any provider's key was found.
    pub fn has_any(&self) -> bool {
        !self.found.is_empty()
    }
}

fn from_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// The key of one provider; `None` where it needs none.
fn find(
    config: &Config,
    name: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, KeyError> {
    let Some(provider) = config.provider(name) else { return Ok(None) };
    let (raw, place) = if let Some(named) = provider.api_key_env {
        let missing = || KeyError::MissingVariable { provider: name.to_owned(), variable: named.clone() };
        (variable(&named).filter(|value| !value.is_empty()).ok_or_else(missing)?, named)
    } else if let Some(path) = provider.api_key_file {
        let raw = std::fs::read_to_string(&path).map_err(|source| KeyError::MissingFile {
            provider: name.to_owned(),
            path: path.clone(),
            source,
        })?;
        (raw, path.display().to_string())
    } else {
        return Ok(None);
    };
    let unusable = || KeyError::Unusable { provider: name.to_owned(), place };
    Secret::read(&raw).map(Some).ok_or_else(unusable)
}

/// A key.
#[derive(Clone)]
pub(crate) struct Secret(String);

/// Below this many bytes a key is a placeholder (`none`, `EMPTY`) that may well be part of an answer.
const SHORTEST_SECRET: usize = 16;
/// What stands where a key stood.
const STRUCK_OUT: &str = "[key]";

impl Secret {
    fn read(raw: &str) -> Option<Self> {
        let key = raw.trim();
        let sendable = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        sendable.then(|| Self(key.to_owned()))
    }

    /// The key itself, for a header.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `message` without the key: for what a provider says about a call, which may repeat the call.
    pub(crate) fn strike_out(&self, message: &str) -> String {
        message.replace(&self.0, STRUCK_OUT)
    }

    /// The body of a reply without the key. Placeholders are left: they would tear holes into answers.
    pub(crate) fn strike_out_of_body(&self, body: Vec<u8>) -> Vec<u8> {
        let key = self.0.as_bytes();
        if key.len() < SHORTEST_SECRET || !body.windows(key.len()).any(|window| window == key) {
            return body;
        }
        let mut kept = Vec::with_capacity(body.len());
        let mut rest = body.as_slice();
        while let Some(byte) = rest.first() {
            if let Some(after) = rest.strip_prefix(key) {
                kept.extend_from_slice(STRUCK_OUT.as_bytes());
                rest = after;
            } else {
                kept.push(*byte);
                rest = &rest[1..];
            }
        }
        kept
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STRUCK_OUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "sk-canary-0123456789";

    fn resolve(toml: &str, provider: &str) -> Result<Keys, KeyError> {
        let config = Config::parse(toml).unwrap();
        let variable = |name: &str| match name {
            "OPENAI_API_KEY" => Some(format!("{CANARY}\n")),
            "EMPTY" => Some(String::new()),
            "TWO_LINES" => Some("a\nb".into()),
            _ => None,
        };
        Keys::resolve_from(&config, [provider], variable)
    }

    fn local(line: &str) -> String {
        format!("[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1\"\n{line}")
    }

    #[test]
    fn finds_keys_and_says_where_they_are_missing() {
        let check = |toml: &str, provider: &str, expected: Result<Option<&str>, &str>| match (
            resolve(toml, provider),
            expected,
        ) {
            (Ok(keys), Ok(expected)) => {
                assert_eq!(keys.of(provider).map(Secret::expose), expected);
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, _) => panic!("{found:?}"),
        };
        check("", "openai", Ok(Some(CANARY)));
        check("", "echo", Ok(None));
        check("", "anthropic", Err("ANTHROPIC_API_KEY"));
        check(&local(""), "local", Ok(None));
        check(&local("api_key_env = \"EMPTY\""), "local", Err("EMPTY"));
        check(&local("api_key_env = \"TWO_LINES\""), "local", Err("visible ASCII"));
        check(&local("api_key_file = \"no/such/file\""), "local", Err("no/such/file"));
    }

    #[test]
    fn what_cannot_be_found_is_told_and_the_rest_is_kept() {
        let config = Config::parse(&local("api_key_env = \"LOCAL_KEY\"")).unwrap();
        let keys = Keys::gather_from(&config, |name| (name == "OPENAI_API_KEY").then(|| CANARY.to_owned()));
        assert!(keys.has_any() && keys.of("openai").is_some());
        let missing: Vec<_> = keys.missing().keys().map(String::as_str).collect();
        assert_eq!(missing, ["anthropic", "gemini", "local"]);
        assert!(keys.missing()["local"].contains("set LOCAL_KEY"), "{:?}", keys.missing());
    }

    #[test]
    fn a_key_is_never_shown() {
        let keys = resolve("", "openai").unwrap();
        assert!(!format!("{keys:?}").contains("canary"));
        let secret = keys.of("openai").unwrap();
        assert_eq!(secret.strike_out(&format!("bad key {CANARY}!")), "bad key [key]!");
        let body = format!("{CANARY} and {CANARY}").into_bytes();
        assert_eq!(secret.strike_out_of_body(body), b"[key] and [key]");
        let placeholder = Secret::read("none").unwrap();
        assert_eq!(placeholder.strike_out_of_body(b"none of them".to_vec()), b"none of them");
    }
}
