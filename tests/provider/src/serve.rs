//! The routes: `POST /v1/chat/completions`, `POST /control` (another script), `GET /bill` (its totals) and
//! `GET /bill/calls` (each call, a JSON line each).

use std::borrow::Cow;
use std::future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_timer::Delay;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::bill::{Entry, JOB_HEADER, Ledger, Totals};
use crate::connection::{Cuttable, Fate};
use crate::plan::{Decision, Plan};
use crate::reply::{Completion, reply};
use crate::script::{Reaction, Script};
use crate::strict::{Demand, Kept, Refused, Strict};

/// The largest request it reads, in bytes.
const MAX_REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// How late timers fire and answers arrive on average, as measured from outside.
const LATENESS: Duration = Duration::from_micros(300);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    plan: RwLock<Arc<Plan>>,
    strict: Mutex<Option<Strict>>,
    calls: AtomicU64,
}

impl Shared {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            ledger: Ledger::new(),
            strict: Mutex::new(script.limits.clone().map(|limits| Strict::new(limits, 0))),
            plan: RwLock::new(Arc::new(Plan::new(script))),
            calls: AtomicU64::new(0),
        }
    }

    /// Calls that arrive from now on follow this script. The bill goes on, and what was used of its limits stays used.
    pub(crate) fn set_script(&self, script: Script) {
        let now_us = self.now_us();
        let mut strict = self.strict();
        match (&mut *strict, script.limits.clone()) {
            (Some(strict), Some(limits)) => strict.change(limits, now_us),
            (before, limits) => *before = limits.map(|limits| Strict::new(limits, now_us)),
        }
        drop(strict);
        let plan = Arc::new(Plan::new(script));
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// How callers have kept to the limits.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let now_us = self.now_us();
        self.strict().as_mut().map(|strict| strict.kept(now_us))
    }

    /// Admits a call, where limits have room for it. Either way: what its reply says of them.
    fn admit(&self, demand: Demand) -> (Result<Option<Admitted<'_>>, Refused>, HeaderMap) {
        let now_us = self.now_us();
        let mut strict = self.strict();
        let Some(strict) = &mut *strict else { return (Ok(None), HeaderMap::new()) };
        let admitted = strict.admit(now_us, demand).map(|()| Some(Admitted { shared: self, demand }));
        (admitted, strict.headers(now_us))
    }

    fn now_us(&self) -> u64 {
        self.ledger.at_us(Instant::now())
    }

    fn strict(&self) -> MutexGuard<'_, Option<Strict>> {
        self.strict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A call that the limits had room for. It ends when this is dropped, answered or not.
struct Admitted<'s> {
    shared: &'s Shared,
    demand: Demand,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        let now_us = self.shared.now_us();
        if let Some(strict) = &mut *self.shared.strict() {
            strict.end(now_us, self.demand);
        }
    }
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let routes = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/control", post(control))
        .route("/bill", get(bill))
        .route("/bill/calls", get(calls))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(shared);
    axum::serve(Cuttable(listener), routes.into_make_service_with_connect_info::<Fate>()).await
}

/// The part of a request that matters here.
#[derive(Deserialize)]
struct Request<'r> {
    #[serde(borrow)]
    model: Cow<'r, str>,
    #[serde(borrow)]
    messages: Vec<Message<'r>>,
    #[serde(default, alias = "max_completion_tokens")]
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Message<'r> {
    #[serde(borrow)]
    content: Cow<'r, str>,
}

async fn chat(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(fate): ConnectInfo<Fate>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let arrived = Instant::now();
    let _in_flight = shared.ledger.enter();
    let number = shared.calls.fetch_add(1, Ordering::Relaxed) + 1;
    let plan = shared.plan();

    let request =
        serde_json::from_slice::<Request<'_>>(&body).ok().filter(|request| !request.messages.is_empty());
    let prompt =
        request.as_ref().and_then(|request| request.messages.last()).map_or("", |last| &*last.content);
    let rejection = if !is_authorised(&headers, plan.script.api_key.as_deref()) {
        Some(Reaction::status(401))
    } else {
        request.is_none().then(|| Reaction::status(400))
    };
    let answer = plan.answer(prompt);
    let asked =
        request.iter().flat_map(|request| &request.messages).map(|message| message.content.len()).sum();
    let demand = Demand {
        input: tokens(asked),
        most_output: request.as_ref().and_then(|request| request.max_tokens),
        output: tokens(answer.len()),
    };
    let (_admitted, limits, rejection) = match rejection {
        Some(rejection) => (None, HeaderMap::new(), Some(rejection)),
        None => match shared.admit(demand) {
            (Ok(admitted), limits) => (admitted, limits, None),
            (Err(refused), limits) => (None, limits, Some(Reaction::over_the_limit(refused))),
        },
    };
    let decision = match &rejection {
        Some(reaction) => Decision { reaction: Some(reaction), body: &Bytes::new(), delay: Duration::ZERO },
        None => plan.decide(number, prompt),
    };

    let completion = Completion {
        number,
        model: request.as_ref().map_or("", |request| &request.model),
        answer: &answer,
        input_tokens: demand.input,
        output_tokens: demand.output,
    };
    let billed = decision.reaction.is_none_or(Reaction::is_billed);
    let (input_tokens, output_tokens) =
        if billed { (completion.input_tokens, completion.output_tokens) } else { (0, 0) };
    // On the bill before anything can end this future: a client that hangs up has been served all the same.
    shared.ledger.push(Entry {
        at_us: shared.ledger.at_us(arrived),
        job: headers.get(JOB_HEADER).and_then(|job| job.to_str().ok()).map(Into::into),
        status: decision.reaction.map_or(Some(200), Reaction::shown_status),
        input_tokens,
        output_tokens,
        cost_nano_usd: plan.script.price.cost(input_tokens, output_tokens),
    });

    if !decision.delay.is_zero() {
        // The runtime's timers fire in ticks of a millisecond: what came apart would be answered together.
        Delay::new(decision.delay.saturating_sub(arrived.elapsed() + LATENESS)).await;
    }
    match decision.reaction {
        Some(Reaction::Hang) => future::pending().await,
        Some(Reaction::Close) => fate.close(),
        Some(Reaction::Reset) => fate.reset(),
        _ => {}
    }
    let mut reply = reply(decision, &completion);
    reply.headers_mut().extend(limits);
    reply
}

fn is_authorised(headers: &HeaderMap, api_key: Option<&str>) -> bool {
    api_key.is_none_or(|key| {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        given.and_then(|value| value.strip_prefix("Bearer ")) == Some(key)
    })
}

/// A token is four bytes here, the last one maybe fewer.
fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

async fn control(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(script) => {
            shared.set_script(script);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("no script: {error}\n")).into_response(),
    }
}

async fn bill(State(shared): State<Arc<Shared>>) -> Response {
    let totals = Totals { limits: shared.kept(), ..shared.ledger.snapshot().totals() };
    axum::Json(totals).into_response()
}

async fn calls(State(shared): State<Arc<Shared>>) -> Response {
    let mut lines = Vec::new();
    for entry in shared.ledger.snapshot().entries {
        // Neither writing to a Vec nor serialising an entry can fail.
        let _ = serde_json::to_writer(&mut lines, &entry);
        lines.push(b'\n');
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response()
}
