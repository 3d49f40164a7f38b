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
