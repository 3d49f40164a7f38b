//! Where a store is: `sqlite:PATH` or `postgres://…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::StoreError;
use crate::open::postgres_options;

/// The place of a store. Printed with its password masked.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file, created on first use.
    Sqlite(PathBuf),
    /// A database, as a connection URL.
    Postgres(String),
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            // `sqlite://dir/file` and `sqlite:///dir/file` are common spellings of a relative and an absolute path.
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(StoreError::Url("`sqlite:` needs a path, such as sqlite:assay.db".to_owned())),
                ":memory:" => Err(StoreError::Url(
                    "a store in memory would be lost with the process; name a file, such as sqlite:assay.db"
                        .to_owned(),
                )),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // What no attempt to connect could mend is found before the first.
            return match postgres_options(text) {
                Ok(_) => Ok(Self::Postgres(text.to_owned())),
                Err(why) => Err(StoreError::Url(format!("{} is no URL of a database: {why}", masked(text)))),
            };
        }
        // What follows the scheme may hold a password: it is not repeated.
        let scheme = text.split_once(':').map_or(text, |(scheme, _)| scheme);
        Err(StoreError::Url(format!(
            "`{scheme}` is no kind of store; write sqlite:PATH or postgres://USER@HOST/DATABASE"
        )))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// The URL with `***` for every password: the one before the host, and parameters whose name says so.
fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (place, parameters) = rest.split_once('?').map_or((rest, None), |(place, rest)| (place, Some(rest)));
    let place = match place.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            None => place.to_owned(),
        },
        None => place.to_owned(),
    };
    let parameters = parameters.map(|parameters| {
        let hide = |parameter: &str| match parameter.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=***"),
            _ => parameter.to_owned(),
        };
        format!("?{}", parameters.split('&').map(hide).collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{place}{}", parameters.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_without_the_password() {
        let check = |text: &str, expected: &str| {
            let printed = match text.parse::<StoreUrl>() {
                Ok(url) => url.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(printed.contains(expected), "{text}: {printed}");
            assert!(!printed.contains("s3cret"), "{printed}");
        };
        check("sqlite:assay.db", "sqlite:assay.db");
        check("sqlite://dir/assay.db", "sqlite:dir/assay.db");
        check("sqlite:///dir/assay.db", "sqlite:/dir/assay.db");
        check("sqlite:", "needs a path");
        check("sqlite::memory:", "name a file");
        check("postgres://ann:s3cret@db.example:5432/assay", "postgres://ann:***@db.example:5432/assay");
        check("postgres://ann:s3c@s3cret@db/assay", "postgres://ann:***@db/assay");
        check("postgresql://ann@db/assay", "postgresql://ann@db/assay");
        check("postgres://db/assay?user=ann&password=s3cret", "?user=ann&password=***");
        check(
            "postgres://ann:s3cret@db:notaport/assay",
            "postgres://ann:***@db:notaport/assay is no URL of a database",
        );
        check("postgres://ann:s3cret@[::1/assay", "is no URL of a database: ");
        check("postgres://ann:s3cret@db/assay?sslmode=perhaps", "is no URL of a database: ");
        check("mysql://ann:s3cret@db/assay", "`mysql` is no kind of store");
        check("assay.db", "sqlite:PATH");
    }
}
