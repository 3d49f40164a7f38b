//! Jinja templates from suites: strict about unknown variables, bounded in size, depth and time.
//!
//! A template that is a JSON object or list is rendered inside each of its strings, so that a quote in a variable
//! cannot break the document; it is printed again with two spaces of indentation.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

use crate::case::Vars;

/// The longest template source, in bytes. Parsing recurses over chains of operators, so its depth is bounded by
/// this length and by the stack of [`PARSER_STACK_BYTES`] it runs on.
const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Half a kilobyte of stack for every two bytes of the longest source (a chain's shortest link is `+1`).
const PARSER_STACK_BYTES: usize = 128 * 1024 * 1024;
/// Steps one rendering may take.
const FUEL: u64 = 500_000;
/// The longest rendered text, in bytes.
const MAX_RENDERED_BYTES: usize = 4 * 1024 * 1024;

/// The templates of a suite, compiled once and rendered for every case.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    texts: Vec<Body>,
}

/// A template's place in its [`Templates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateId(usize);

#[derive(Debug)]
enum Body {
    /// Nothing to fill in.
    Literal(String),
    /// Compiled under this name.
    Compiled(String),
    /// A JSON document whose strings are templates.
    Json(Node),
}

#[derive(Debug)]
enum Node {
    Leaf(Value),
    Text(TemplateId),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why a template cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is no Jinja. The line is counted from 1 inside the template.
    #[error("{message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Where.
        line: Option<usize>,
    },
    /// It is longer than any sensible template.
    #[error("a template of {0} bytes; the limit is {MAX_SOURCE_BYTES}")]
    TooLong(usize),
    /// It could not be rendered for these variables.
    #[error("{message}")]
    Render {
        /// What is wrong.
        message: String,
        /// Where, counted from 1 inside the template.
        line: Option<usize>,
    },
    /// Its result is too long.
    #[error("the rendered text has {0} bytes; the limit is {MAX_RENDERED_BYTES}")]
    TooMuch(usize),
}

impl TemplateError {
    /// The line it is on, from 1 inside the template, where that is known.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Syntax { line, .. } | Self::Render { line, .. } => *line,
            Self::TooLong(_) | Self::TooMuch(_) => None,
        }
    }
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A prompt version already dropped its last newline; what is left belongs to it.
        environment
            .set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default());
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        Self { environment, texts: Vec::new() }
    }
}

impl Templates {
    /// Compiles `source` as a whole, or string by string where it is a JSON object or list.
    pub fn add(&mut self, source: &str) -> Result<TemplateId, TemplateError> {
        let document = matches!(source.trim_start().as_bytes().first(), Some(b'{' | b'['));
        match document.then(|| serde_json::from_str::<Value>(source)) {
            Some(Ok(value)) => {
                let node = self.add_node(&value)?;
                Ok(self.push(Body::Json(node)))
            }
            _ => self.add_text(source),
        }
    }

    /// Compiles every string inside `value`.
    pub fn add_value(&mut self, value: &Value) -> Result<ValueTemplate, TemplateError> {
        self.add_node(value).map(ValueTemplate)
    }

    fn add_text(&mut self, source: &str) -> Result<TemplateId, TemplateError> {
        if !["{{", "{%", "{#"].iter().any(|mark| source.contains(mark)) {
            return Ok(self.push(Body::Literal(source.to_owned())));
        }
        if source.len() > MAX_SOURCE_BYTES {
            return Err(TemplateError::TooLong(source.len()));
        }
        let name = format!("template {}", self.texts.len());
        let environment = &mut self.environment;
        on_deep_stack(|| environment.add_template_owned(name.clone(), source.to_owned()))
            .map_err(|error| TemplateError::Syntax { message: describe(&error), line: error.line() })?;
        Ok(self.push(Body::Compiled(name)))
    }

    fn add_node(&mut self, value: &Value) -> Result<Node, TemplateError> {
        Ok(match value {
            Value::String(text) => Node::Text(self.add_text(text)?),
            Value::Array(items) => {
                Node::List(items.iter().map(|item| self.add_node(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => Node::Map(
                fields.iter().map(|(key, field)| Ok((key.clone(), self.add_node(field)?))).collect::<Result<
                    _,
                    TemplateError,
                >>(
                )?,
            ),
            leaf => Node::Leaf(leaf.clone()),
        })
    }

    fn push(&mut self, body: Body) -> TemplateId {
        self.texts.push(body);
        TemplateId(self.texts.len() - 1)
    }

    /// The template filled in with `vars`.
    pub fn render(&self, id: TemplateId, vars: &Vars) -> Result<String, TemplateError> {
        match &self.texts[id.0] {
            Body::Literal(text) => Ok(text.clone()),
            Body::Json(node) => {
                let value = self.render_node(node, vars)?;
                serde_json::to_string_pretty(&value)
                    .map_err(|error| TemplateError::Render { message: error.to_string(), line: None })
            }
            Body::Compiled(name) => {
                let template = self.environment.get_template(name);
                let rendered =
                    template.and_then(|template| template.render(minijinja::value::Serde(vars))).map_err(
                        |error| TemplateError::Render { message: describe(&error), line: error.line() },
                    )?;
                if rendered.len() > MAX_RENDERED_BYTES {
                    return Err(TemplateError::TooMuch(rendered.len()));
                }
                Ok(rendered)
            }
        }
    }

    /// The value with every string inside it filled in.
    pub fn render_value(&self, value: &ValueTemplate, vars: &Vars) -> Result<Value, TemplateError> {
        self.render_node(&value.0, vars)
    }

    fn render_node(&self, node: &Node, vars: &Vars) -> Result<Value, TemplateError> {
        Ok(match node {
            Node::Leaf(value) => value.clone(),
            Node::Text(id) => Value::String(self.render(*id, vars)?),
            Node::List(items) => {
                Value::Array(items.iter().map(|item| self.render_node(item, vars)).collect::<Result<_, _>>()?)
            }
            Node::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, field)| Ok((key.clone(), self.render_node(field, vars)?)))
                    .collect::<Result<_, TemplateError>>()?,
            ),
        })
    }

    /// The names of the variables that all templates so far refer to, without what every template has (`range`, …).
    pub fn variables(&self) -> BTreeSet<String> {
        let environment = &self.environment;
        // Naming the variables parses the source again.
        let mut names: BTreeSet<String> = on_deep_stack(|| {
            environment.templates().flat_map(|(_, template)| template.undeclared_variables(false)).collect()
        });
        for (global, _) in environment.globals() {
            names.remove(global);
        }
        names
    }
}

/// A value whose strings are templates.
#[derive(Debug)]
pub struct ValueTemplate(Node);

impl ValueTemplate {
    /// Whether it renders to the same value for every case.
    pub fn is_constant(&self, templates: &Templates) -> bool {
        fn constant(node: &Node, templates: &Templates) -> bool {
            match node {
                Node::Leaf(_) => true,
                Node::Text(id) => matches!(templates.texts[id.0], Body::Literal(_)),
                Node::List(items) => items.iter().all(|item| constant(item, templates)),
                Node::Map(fields) => fields.iter().all(|(_, field)| constant(field, templates)),
            }
        }
        constant(&self.0, templates)
    }
}

/// The parser's recursion is bounded only by the source, so it gets a stack that the longest source cannot
/// exhaust; the memory is touched only as far as it is used.
fn on_deep_stack<T: Send>(parse: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, parse);
        #[expect(clippy::expect_used, reason = "a machine without a thread to spare cannot run a suite")]
        let joined = thread.expect("a thread to parse a template").join();
        match joined {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn describe(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vars(value: Value) -> Vars {
        value.as_object().unwrap().clone()
    }

    fn check(source: &str, values: Value, expected: Result<&str, &str>) {
        let mut templates = Templates::default();
        let rendered = templates
            .add(source)
            .and_then(|id| templates.render(id, &vars(values)))
            .map_err(|error| error.to_string());
        match expected {
            Ok(text) => assert_eq!(rendered.as_deref(), Ok(text)),
            Err(part) => {
                let message = rendered.expect_err("an error");
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[test]
    fn fills_in_text_and_json() {
        check("Hi {{ name }}\n", json!({"name": "Ann"}), Ok("Hi Ann\n"));
        check("no tags", json!({}), Ok("no tags"));
        check("{ not json {{ x }}", json!({"x": 1}), Ok("{ not json 1"));
        check(
            r#"{"text": "{{ x }}"}"#,
            json!({"x": "a \"b\"\n"}),
            Ok("{\n  \"text\": \"a \\\"b\\\"\\n\"\n}"),
        );
        check("{{ x }}", json!({"x": "<b>&"}), Ok("<b>&"));
    }

    #[test]
    fn unknown_variables_and_endless_loops_are_errors() {
        check("{{ nme }}", json!({"name": 1}), Err("undefined"));
        check(
            "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}",
            json!({}),
            Err("fuel"),
        );
        check("{{ oops", json!({}), Err("syntax error"));
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let chain = format!("{{{{ {}1 }}}}", "1+".repeat(100_000));
        check(&chain, json!({}), Ok("100001"));
        let negations = format!("{{{{ {}true }}}}", "not ".repeat(60_000));
        check(&negations, json!({}), Ok("True"));
        check(&format!("{{{{ {}1 }}}}", "1+".repeat(200_000)), json!({}), Err("limit"));
    }

    #[test]
    fn names_the_variables_it_needs() {
        let mut templates = Templates::default();
        templates.add("{{ a.b }} {% for x in list %}{{ x }}{% endfor %}").unwrap();
        templates.add("{% for i in range(3) %}{{ i }}{% endfor %}").unwrap();
        templates.add(&format!("{{{{ {}b }}}}", "1+".repeat(100_000))).unwrap();
        let names: Vec<_> = templates.variables().into_iter().collect();
        assert_eq!(names, ["a", "b", "list"]);
    }
}
