//! One job's path: consume, claim, limit, ask, score, record, ack.
