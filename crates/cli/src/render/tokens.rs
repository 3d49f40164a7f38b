//! Tokens, a line each.

use assay_coordinator::report::civil;
use assay_store::Token;

use super::table;

/// A table of tokens.
pub(crate) fn tokens(tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return "no tokens yet; make one with `assay token create NAME --scopes submit,read`\n".to_owned();
    }
    let mut table = table(&["TOKEN", "SCOPES", "CREATED", "EXPIRES", "REVOKED"], &[]);
    for token in tokens {
        let scopes: Vec<_> = token.scopes.iter().map(ToString::to_string).collect();
        let moment = |at: Option<_>| at.map_or_else(|| "–".to_owned(), civil);
        table.add_row([
            token.name.clone(),
            scopes.join(","),
            civil(token.created_at),
            moment(token.expires_at),
            moment(token.revoked_at),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}
