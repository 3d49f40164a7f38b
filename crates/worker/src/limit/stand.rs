//! Standing in a line until it is passed: what a pure line needs of tokio, the time and the waking.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::line::{Line, Needs, Ticket, Turn};

/// Waits until everything that a call needs is taken. The line stands until the ticket is done or dropped; `began` is the
/// moment that the line counts from. Who gets nothing under the present lease rings `starved`, once.
pub(super) async fn stand(line: &Arc<Line>, needs: Needs, began: Instant, starved: &Notify) -> Ticket {
    let mut ticket = Ticket::join(line, needs);
    let mut timer: Pin<&mut Option<Sleep>> = pin!(None);
    let mut has_rung = false;
    poll_fn(|context| {
        loop {
            match ticket.pass(began.elapsed(), context.waker()) {
                Turn::Passed => return Poll::Ready(()),
                Turn::Behind => return Poll::Pending,
                Turn::Standing => {
                    if !std::mem::replace(&mut has_rung, true) {
                        starved.notify_one();
                    }
                    return Poll::Pending;
                }
                Turn::At(moment) => {
                    timer.set(Some(sleep_until(began + moment)));
                    let Some(sleep) = timer.as_mut().as_pin_mut() else { continue };
                    if sleep.poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    })
    .await;
    ticket
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::line::RATES;
    use super::*;

    const TOKENS: usize = 0;
    const REQUESTS: usize = RATES.len() - 1;

    struct Account {
        line: Arc<Line>,
        began: Instant,
        starved: Arc<Notify>,
    }

    impl Account {
        /// One request a second and a hundred tokens a second, leased for a minute.
        fn new() -> Self {
            let account = Self {
                line: Line::new(Duration::from_secs(60)),
                began: Instant::now(),
                starved: Arc::default(),
            };
            account.lease(REQUESTS, Some(1_000_000));
            account.lease(TOKENS, Some(100_000_000));
            account
        }

        fn lease(&self, rate: usize, amount: Option<u64>) {
            let now = self.began.elapsed();
            self.line.lease(rate, amount, 6_000, now + Duration::from_secs(60), now);
        }

        /// Passes with so many tokens; returns the second at which it did.
        fn pass(&self, tokens: u64) -> tokio::task::JoinHandle<u64> {
            let (line, began, starved) = (Arc::clone(&self.line), self.began, Arc::clone(&self.starved));
            tokio::spawn(async move {
                stand(&line, [tokens, 0, 0, 1], began, &starved).await.done();
                began.elapsed().as_secs()
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served_by_the_scarcer_of_two_rates() {
        let account = Account::new();
        let mut passed = Vec::new();
        for waiting in [10, 10, 540, 10].map(|tokens| account.pass(tokens)) {
            passed.push(waiting.await.unwrap());
        }
        // The third gathers its tokens for five seconds, and nobody overtakes it.
        assert_eq!(passed, [1, 2, 7, 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_first_still_lacks_is_told() {
        let account = Account::new();
        let lacks = || account.line.demand(account.began.elapsed())[TOKENS].lacks;
        assert_eq!(lacks(), None);
        let (first, second) = (account.pass(540), account.pass(10));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let left = lacks().unwrap_or(0);
        assert!((320..=345).contains(&left), "{left}");
        assert_eq!((first.await.unwrap(), second.await.unwrap(), lacks()), (5, 6, None));
        let third = account.pass(540);
        tokio::time::sleep(Duration::from_secs(1)).await;
        third.abort();
        assert!(third.await.is_err());
        assert_eq!(lacks(), None, "who gives up lacks nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_his_tokens_to_the_next() {
        let account = Account::new();
        let (first, second) = (account.pass(500), account.pass(60));
        tokio::time::sleep(Duration::from_millis(4_500)).await;
        first.abort();
        assert_eq!(second.await.unwrap(), 5, "as many as may be taken at once");
        // What was counted as more than it took is paid by the next.
        account.line.settle([60, 0, 0, 1], [260, 0, 0, 1]);
        assert_eq!(account.pass(10).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_nothing_says_so_once_and_is_woken_by_a_lease() {
        let account = Account::new();
        account.lease(REQUESTS, Some(0));
        let waiting = account.pass(0);
        account.starved.notified().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        account.lease(REQUESTS, Some(0));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!waiting.is_finished());
        account.lease(REQUESTS, Some(2_000_000));
        assert_eq!(waiting.await.unwrap(), 6);
        assert!(tokio::time::timeout(Duration::ZERO, account.starved.notified()).await.is_err());
        assert!(account.line.holds(account.began.elapsed()) && !account.line.is_open());
        account.lease(REQUESTS, None);
        account.lease(TOKENS, None);
        assert!(account.line.is_open());
        assert_eq!(account.pass(1_000_000).await.unwrap(), 6);
    }
}
