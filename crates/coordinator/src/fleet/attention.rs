//! Pools that nobody serves: told as a problem of the account, with what to do about it, and withdrawn when somebody
//! serves them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use assay_common::config::Config;
use assay_store::{AccountProblem, Member, RunPool, StoreError};
use tokio::time::Instant;

use crate::environment::Environment;

/// The word for the problem. Reported under the name of the model, which has a `/` and so is no provider's.
pub(crate) const UNSERVED: &str = "unserved";
/// How long workers may take to find a pool before somebody is told.
const GRACE: Duration = Duration::from_secs(3);

/// Since when which pool has been served by nobody.
#[derive(Debug, Default)]
pub(super) struct Attention(HashMap<String, Instant>);

impl Attention {
    /// Compares what open runs need with what living workers serve, and corrects what the store says of it.
    pub(super) async fn look(
        &mut self,
        environment: &Environment,
        needed: &BTreeSet<&RunPool>,
        workers: &[Member],
    ) -> Result<(), StoreError> {
        let unserved = unserved(&environment.config, needed, workers);
        let now = Instant::now();
        self.0.retain(|model, _| unserved.contains_key(model));
        for model in unserved.keys() {
            self.0.entry(model.clone()).or_insert(now);
        }
        let (store, wall) = (&environment.store, environment.clock.now());
        let mut told: BTreeMap<_, _> = store.account_problems().await?.into_iter().collect();
        told.retain(|_, problem| problem.kind == UNSERVED);
        for (model, detail) in &unserved {
            let known = told.remove(model);
            let is_due = self.0.get(model).is_some_and(|since| now.duration_since(*since) >= GRACE);
            if !is_due && known.is_none() || known.as_ref().is_some_and(|known| known.detail == *detail) {
                continue;
            }
            tracing::warn!(queue.model = %model, "{detail}");
            let since = known.map_or(wall, |known| known.since);
            let problem = AccountProblem { kind: UNSERVED.to_owned(), detail: detail.clone(), since };
            store.report_account(model.clone(), Some(problem), wall).await?;
        }
        for model in told.into_keys() {
            tracing::info!(queue.model = %model, "{model} is served, or needed no longer");
            store.report_account(model, None, wall).await?;
        }
        Ok(())
    }
}

/// The models whose pools are served by no worker, and what to do about each.
fn unserved(config: &Config, needed: &BTreeSet<&RunPool>, workers: &[Member]) -> BTreeMap<String, String> {
    let is_served =
        |pool: &RunPool| workers.iter().any(|worker| worker.offer.serves.contains_key(&pool.pool));
    let unserved = needed.iter().filter(|pool| !is_served(pool));
    unserved.map(|pool| (pool.model.clone(), remedy(config, pool, workers))).collect()
}

fn remedy(config: &Config, pool: &RunPool, workers: &[Member]) -> String {
    let RunPool { provider, model, .. } = pool;
    let settings = config.provider(provider);
    let start = match &settings {
        None => format!("start one whose assay.toml describes `{provider}`"),
        Some(settings) => match (&settings.api_key_env, &settings.api_key_file) {
            (Some(variable), _) => format!("start one whose environment has {variable}"),
            (None, Some(file)) => format!("start one that can read the key file {}", file.display()),
            (None, None) => "start one with `assay worker`".to_owned(),
        },
    };
    // What is wrong with the one model says more.
    let lacking = workers.iter().find_map(|worker| {
        let lacks = &worker.offer.lacks;
        Some((worker, lacks.get(model).or_else(|| lacks.get(provider))?))
    });
    let why = lacking.map_or_else(String::new, |(worker, why)| {
        format!(" (worker {} on {}, process {}, cannot: {why})", worker.id, worker.host, worker.pid)
    });
    format!("no worker serves `{model}`: {start}{why}")
}

#[cfg(test)]
mod tests {
    use assay_common::clock::Micros;
    use assay_common::id::MemberId;
    use assay_store::Offer;
    use uuid::Uuid;

    use super::*;

    fn worker(serves: &[&str], lacks: &[(&str, &str)]) -> Member {
        let lacks = lacks.iter().map(|(provider, why)| ((*provider).to_owned(), (*why).to_owned()));
        Member {
            id: MemberId::new(Uuid::from_u128(7)),
            kind: "worker".to_owned(),
            host: "blue".to_owned(),
            pid: 12,
            beat: 1,
            joined_at: Micros(0),
            version: String::new(),
            schema_version: 2,
            offer: Offer {
                serves: serves.iter().map(|pool| ((*pool).to_owned(), 64)).collect(),
                lacks: lacks.collect(),
            },
        }
    }

    fn check(provider: &str, workers: &[Member], expected: Option<&str>) {
        let config = Config::parse(
            "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
             [providers.filed]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key_file = \"k\"\n",
        )
        .unwrap();
        let pool = RunPool {
            pool: format!("{provider}.1"),
            provider: provider.to_owned(),
            model: format!("{provider}/m"),
        };
        let found = unserved(&config, &BTreeSet::from([&pool]), workers);
        assert_eq!(found.get(&pool.model).map(String::as_str), expected);
    }

    #[test]
    fn says_what_to_do_for_each_pool_without_a_worker() {
        check("openai", &[worker(&["openai.1"], &[])], None);
        check(
            "openai",
            &[worker(&["openai.2"], &[])],
            Some("no worker serves `openai/m`: start one whose environment has OPENAI_API_KEY"),
        );
        check(
            "openai",
            &[worker(&[], &[("openai", "set OPENAI_API_KEY")])],
            Some(
                "no worker serves `openai/m`: start one whose environment has OPENAI_API_KEY (worker \
                 00000000-0000-0000-0000-000000000007 on blue, process 12, cannot: set OPENAI_API_KEY)",
            ),
        );
        check("local", &[], Some("no worker serves `local/m`: start one with `assay worker`"));
        check("filed", &[], Some("no worker serves `filed/m`: start one that can read the key file k"));
        check("new", &[], Some("no worker serves `new/m`: start one whose assay.toml describes `new`"));
    }
}
