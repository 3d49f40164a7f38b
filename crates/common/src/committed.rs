//! The proof that a transaction has been committed.

/// Proof that what a delivery stood for is safe in the store. A delivery can be acknowledged only with
/// one (`Delivery::ack(self, Committed)`), so no message is dropped before its work is on record.
///
/// **Invariant:** only the store makes one, on the line after a commit; a test over the sources keeps it so.
#[derive(Clone, Copy, Debug)]
pub struct Committed(());

impl Committed {
    /// For the store alone: call it after the commit has returned.
    pub fn after_commit() -> Self {
        Self(())
    }
}
