//! What deploy/ promises, held against the real binary, as far as that goes without an engine: every command line and
//! variable of compose.yaml is one that it takes, and what the Dockerfile copies is there.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assay_tests::assay::{Workplace, repository};
use assay_tests::fleet::World;
use serde_json::{Map, Value};

/// What stands in deploy/.env for this test.
const SECRETS: [(&str, &str); 3] =
    [("POSTGRES_PASSWORD", "pg5ecret"), ("RABBITMQ_PASSWORD", "mq5ecret"), ("OPENAI_API_KEY", "")];

fn deploy() -> PathBuf {
    repository().join("deploy")
}

/// compose.yaml with its merges made and its variables filled in.
fn compose() -> Value {
    let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    filled(merged(serde_saphyr::from_str(&text).unwrap()))
}

/// `<<` takes over what a mapping does not say itself.
fn merged(value: Value) -> Value {
    match value {
        Value::Object(mut object) => {
            if let Some(Value::Object(base)) = object.shift_remove("<<") {
                for (key, value) in base {
                    object.entry(key).or_insert(value);
                }
            }
            object.into_iter().map(|(key, value)| (key, merged(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.into_iter().map(merged).collect::<Vec<_>>().into(),
        value => value,
    }
}

/// `${NAME:?why}` and `${NAME:-default}`, by the secrets above.
fn filled(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(fill(&text)),
        Value::Object(object) => {
            object.into_iter().map(|(key, value)| (key, filled(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.into_iter().map(filled).collect::<Vec<_>>().into(),
        value => value,
    }
}

fn fill(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (variable, after) = rest.split_once('}').expect("a variable ends in a brace");
    let (name, otherwise) = variable.split_once(':').expect("a variable says what if it is not set");
    let known = SECRETS.iter().find(|(secret, _)| *secret == name).map(|(_, value)| *value);
    let default = otherwise.strip_prefix('-');
    let value = known.or(default).unwrap_or_else(|| panic!(".env.example lacks {name}"));
    format!("{before}{value}{}", fill(after))
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap()).collect()
}

/// The services that run our binary.
fn ours(compose: &Value) -> BTreeMap<&str, &Value> {
    let services = compose["services"].as_object().unwrap().iter();
    services
        .filter(|(_, service)| service["image"] == "assay")
        .map(|(name, service)| (name.as_str(), service))
        .collect()
}

fn environment(service: &Value) -> BTreeMap<&str, &str> {
    let variables = service["environment"].as_object().into_iter().flatten();
    variables.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

/// The instructions of the Dockerfile: comments left out, continued lines joined.
fn dockerfile() -> Vec<(String, String)> {
    let text = fs::read_to_string(deploy().join("Dockerfile")).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter_map(|line| line.trim().split_once(' '));
    instructions.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

fn of<'a>(instructions: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.as_str()).collect()
}

/// Every process that compose.yaml starts comes up with exactly its arguments and variables; only addresses are others.
#[tokio::test(flavor = "multi_thread")]
async fn what_compose_starts_comes_up() {
    let compose = compose();
    let ours = ours(&compose);
    assert_eq!(ours.keys().copied().collect::<Vec<_>>(), ["coordinator", "migrate", "worker"]);
    let mut world = World::new().await;
    // The file that is mounted where ASSAY_CONFIG says.
    let toml = fs::read_to_string(deploy().join("assay.toml")).unwrap();
    world.place.write("assay.toml", toml);
    let (store, queue) = (world.store_url().to_owned(), world.broker().to_owned());
    let image: Vec<_> =
        dockerfile().iter().filter(|(word, _)| word == "ENV").map(|(_, set)| set.clone()).collect();
    let image =
        |name: &str| image.iter().find_map(|set| set.strip_prefix(&format!("{name}="))).unwrap().to_owned();
    let mut running = Vec::new();
    for (name, service) in ours {
        let arguments = texts(&service["command"]);
        let mut variables: BTreeMap<&str, &str> = environment(service);
        assert_eq!(variables["ASSAY_STORE"], "postgres://assay:pg5ecret@postgres:5432/assay");
        assert_eq!(variables["ASSAY_QUEUE"], "amqp://assay:mq5ecret@rabbitmq:5672/%2f");
        assert_eq!(variables["ASSAY_CONFIG"], "/etc/assay/assay.toml");
        variables.extend([
            ("ASSAY_STORE", &*store),
            ("ASSAY_QUEUE", &*queue),
            ("ASSAY_CONFIG", "assay.toml"),
        ]);
        let (listen, format) = (image("ASSAY_LISTEN"), image("ASSAY_LOG_FORMAT"));
        assert_eq!((&*listen, &*format), ("0.0.0.0:8080", "json"));
        let listen = listen.replace("0.0.0.0:8080", "127.0.0.1:0");
        variables.extend([("ASSAY_LISTEN", &*listen), ("ASSAY_LOG_FORMAT", &*format)]);
        let variables: Vec<_> = variables.into_iter().collect();
        if name == "migrate" {
            let mut migrate = world.place.command(&arguments);
            assert!(migrate.envs(variables).status().unwrap().success());
        } else {
            running.push(world.start_bare(&arguments, &variables));
        }
    }
    for process in &running {
        process.logged("listening on http://").await;
        // A line is an object of JSON.
        let log = process.log();
        assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
        world.until("it is ready", async || process.readiness().await.1["status"] == "ready").await;
        assert_eq!(process.get("/healthz").await.0, 200);
    }
    world.end(running).await;
}

/// Variables are read by the binary, services and volumes exist, and servers are told the names that URLs have in them.
#[test]
fn names_in_compose_lead_somewhere() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    let place = Workplace::default();
    let help: String = [&["coordinator", "--help"][..], &["worker", "--help"], &["migrate", "--help"]]
        .iter()
        .map(|arguments| place.assay(arguments).expect(0).stdout)
        .collect();
    let toml = fs::read_to_string(deploy().join("assay.toml")).unwrap();
    for (service, settings) in ours(&compose) {
        for name in environment(settings).into_keys() {
            let known = help.contains(&format!("[env: {name}"))
                || toml.contains(&format!("api_key_env = \"{name}\""));
            assert!(known, "{service}: nobody reads {name}");
        }
    }
    let (postgres, rabbitmq) = (environment(&services["postgres"]), environment(&services["rabbitmq"]));
    let user = (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"], postgres["POSTGRES_PASSWORD"]);
    assert_eq!(user, ("assay", "assay", "pg5ecret"));
    let user = (rabbitmq["RABBITMQ_DEFAULT_USER"], rabbitmq["RABBITMQ_DEFAULT_PASS"]);
    assert_eq!(user, ("assay", "mq5ecret"));
    let example = fs::read_to_string(deploy().join(".env.example")).unwrap();
    for (name, _) in SECRETS {
        assert!(example.contains(&format!("\n{name}=\n")), "{name} is not in .env.example");
    }
    for (name, service) in services {
        for needed in service["depends_on"].as_object().into_iter().flatten().map(|(needed, _)| needed) {
            assert!(services.contains_key(needed), "{name} waits for {needed}");
        }
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let exists = match source.strip_prefix("./") {
                Some(file) => deploy().join(file).is_file(),
                None => compose["volumes"].as_object().unwrap().contains_key(source),
            };
            assert!(exists, "{name}: {volume}");
        }
    }
}

/// Stages, sources, the user and the toolchain of the image.
#[test]
fn the_image_is_made_of_what_is_there() {
    let instructions = dockerfile();
    let stages = of(&instructions, "FROM");
    let named: Vec<_> =
        stages.iter().filter_map(|from| from.split_once(" AS ")).map(|(_, name)| name).collect();
    for from in &stages {
        let image = from.split(' ').next().unwrap();
        assert!(!image.contains('/') && image.contains(':'), "{image}: an official image with its version");
    }
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(stages[0].starts_with(&format!("rust:{version}-")), "{}", stages[0]);
    let debian = |image: &str| {
        ["bookworm", "trixie"].into_iter().find(|name| image.contains(name)).unwrap().to_owned()
    };
    assert_eq!(debian(stages[0]), debian(stages[1]), "the binary finds the C library it was linked against");
    for copy in of(&instructions, "COPY") {
        let parts: Vec<_> = copy.split_whitespace().collect();
        match parts.as_slice() {
            [stage, source, _] => {
                assert!(named.contains(&stage.strip_prefix("--from=").unwrap()), "{copy}");
                // Where the build leaves the binary of the package.
                assert_eq!(*source, "/src/target/release/assay");
            }
            [source, _] => assert!(repository().join(source).exists(), "{copy}"),
            _ => panic!("{copy}"),
        }
    }
    assert_ignored_is_not_needed(&manifest);
    let user = of(&instructions, "USER")[0].split(':').next().unwrap();
    assert!(user.parse::<u32>().unwrap() > 0);
    assert!(of(&instructions, "RUN").iter().any(|run| run.contains(&format!("useradd --uid {user} "))));
    assert!(of(&instructions, "HEALTHCHECK")[0].contains("http://127.0.0.1:8080/healthz"));
    assert_eq!(of(&instructions, "ENTRYPOINT"), ["[\"assay\"]"]);
    let last = instructions.iter().rposition(|(word, _)| word == "USER").unwrap();
    assert!(
        instructions[last..].iter().all(|(word, _)| word != "RUN"),
        "nothing is made after root has gone"
    );
}

/// What .dockerignore leaves out is no part of the workspace, and every part of it exists.
fn assert_ignored_is_not_needed(manifest: &str) {
    let ignored = fs::read_to_string(repository().join(".dockerignore")).unwrap();
    for name in ignored.lines().filter(|line| !line.starts_with('#')) {
        assert!(!["crates", "tests", "migrations", "Cargo.toml", "Cargo.lock"].contains(&name), "{name}");
    }
    assert!(manifest.contains("members = [\"crates/*\", \"tests\", \"tests/provider\"]"));
    assert!(Path::new(&repository().join("migrations")).is_dir());
}
