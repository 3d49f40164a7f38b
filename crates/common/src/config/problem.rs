//! Something in assay.toml that parses and makes no sense, or is of no use, and where it stands.

use toml::de::DeTable;

/// Something that is wrong with an assay.toml, or looks wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The keys that lead to it, from the top of the file.
    keys: Vec<String>,
    what: String,
}

impl Problem {
    /// `what` is wrong with the value that `keys` lead to, or with the last of those that are there.
    pub(super) fn new(keys: &[&str], what: String) -> Self {
        Self { keys: keys.iter().map(|key| (*key).to_owned()).collect(), what }
    }

    /// What is wrong, after its line and column in `text`, the file that it was found in.
    pub fn told(&self, text: &str) -> String {
        match self.offset(text) {
            Some(offset) => {
                let before = &text[..offset];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
                format!("line {line}, column {column}: {}", self.what)
            }
            None => self.what.clone(),
        }
    }

    /// Where the last of its keys that is there begins, in bytes.
    fn offset(&self, text: &str) -> Option<usize> {
        let file = DeTable::parse(text).ok()?;
        let (mut table, mut offset) = (Some(file.get_ref()), None);
        for key in &self.keys {
            let Some((place, value)) = table.and_then(|table| table.get_key_value(key.as_str())) else {
                break;
            };
            offset = Some(place.span().start);
            table = value.get_ref().as_table();
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_where_it_is() {
        let text = "store = \"a.db\" # grün\n\n[a.\"b.c\"]\nx = 1\n  \"ü\".y = 2\nz = { inner = 3 }";
        let check = |keys: &[&str], expected: &str| {
            assert_eq!(Problem::new(keys, "odd".into()).told(text), expected, "{keys:?}");
        };
        check(&["store"], "line 1, column 1: odd");
        check(&["a", "b.c", "x"], "line 4, column 1: odd");
        check(&["a", "b.c", "ü", "y"], "line 5, column 7: odd");
        check(&["a", "b.c", "z", "inner"], "line 6, column 7: odd");
        check(&["a", "b.c", "absent"], "line 3, column 4: odd");
        check(&["absent"], "odd");
    }
}
