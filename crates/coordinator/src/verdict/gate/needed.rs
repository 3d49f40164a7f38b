//! What it would take to decide: how many more units like those seen, worked out from how far they came.

/// Where more than so many times the units would be needed, the truth seems to lie at the bound: no number helps.
pub(super) const MOST_TIMES: f64 = 100.0;
/// Halvings of what lies between once and [`MOST_TIMES`] as many: as far as a double can tell.
const HALVINGS: u32 = 60;
/// What rounding may have put above a whole number of units is that number.
const WHOLE: f64 = 1.0 - 1e-12;

/// Of evidence that grows as the root of the number of units: `progress` is what there is as a share of what decides.
pub(super) fn by_root(progress: f64, n: u64) -> Option<u64> {
    if progress > 0.0 { times(1.0 / (progress * progress), n) } else { None }
}

/// Of an interval that narrows as the root of the number of units, around what was `observed`, until its end at that side
/// has passed the `bound`: the nearer of both sides.
pub(super) fn by_width(observed: f64, [low, high]: [f64; 2], bound: f64, n: u64) -> Option<u64> {
    let end = if observed > bound { low } else { high };
    by_root((observed - bound) / (observed - end), n)
}

/// So many times the `n` units that there are, as a number of further ones.
pub(super) fn times(times: f64, n: u64) -> Option<u64> {
    if times.is_nan() || times > MOST_TIMES {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most a hundred times as many as there are")]
    let more = (n as f64 * (times - 1.0) * WHOLE).ceil().max(1.0) as u64;
    Some(more)
}

/// The fewest, where `decides` says of so many times the units whether they would: not at once, and for ever from some number
/// on.
pub(super) fn by_trial(n: u64, decides: impl Fn(f64) -> bool) -> Option<u64> {
    let (mut few, mut enough) = (1.0, MOST_TIMES);
    if !decides(enough) {
        return None;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(few, enough);
        *(if decides(middle) { &mut enough } else { &mut few }) = middle;
    }
    times(enough, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_way_takes_four_times_as_many() {
        assert_eq!(by_root(0.5, 100), Some(300));
        assert_eq!(by_root(-0.5, 100), None);
        assert_eq!(by_root(0.01, 100), None, "the truth is at the bound");
        // Two points above the bound, five to the lower end.
        assert_eq!(by_width(0.92, [0.87, 0.96], 0.9, 100), Some(525));
        assert_eq!(by_width(0.88, [0.83, 0.92], 0.9, 100), Some(300));
        assert_eq!(by_width(0.9, [0.83, 0.92], 0.9, 100), None);
        assert_eq!(by_trial(20, |times| times >= 2.45), Some(29));
        assert_eq!(by_trial(20, |_| false), None);
    }
}
