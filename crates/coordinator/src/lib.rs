//! A run's life: suite, plan, dispatch, sweep, aggregate, verdict.
