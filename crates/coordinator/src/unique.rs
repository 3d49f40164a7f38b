//! JSON in which no object has a key twice: what two readers would read differently is not read at all.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A document without a doubled key at any depth.
pub(crate) struct Unique(pub(crate) Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

/// The fields of an object, each once.
pub(crate) fn fields<'de, A: MapAccess<'de>>(mut object: A) -> Result<Map<String, Value>, A::Error> {
    let mut fields = Map::new();
    while let Some((name, Unique(value))) = object.next_entry::<String, Unique>()? {
        if fields.contains_key(&name) {
            return Err(A::Error::custom(format!("the field `{name}` is given twice")));
        }
        fields.insert(name, value);
    }
    Ok(fields)
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Value, A::Error> {
        fields(object).map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        match (serde_json::from_str::<Unique>(text), expected) {
            (Ok(Unique(read)), Ok(())) => {
                assert_eq!(read, serde_json::from_str::<Value>(text).unwrap(), "{text}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (read, _) => panic!("{text}: {:?}", read.map(|read| read.0)),
        }
    }

    #[test]
    fn it_is_any_json_but_for_doubled_keys() {
        check(r#"{"a": [null, true, -1, 18446744073709551615, 0.1, "x\u0041", {}], "b": {"a": 1}}"#, Ok(()));
        check("7", Ok(()));
        check(r#"{"a": 1, "a": 1}"#, Err("the field `a` is given twice"));
        check(r#"[{"b": {"a": 1, "c": 2, "a": 3}}]"#, Err("the field `a` is given twice"));
        check(r#"{"a": "#, Err("EOF"));
    }
}
