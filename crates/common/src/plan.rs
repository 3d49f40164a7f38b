//! The run's product of cases × variants × trials. A job's ordinal is its place in that product, so "is
//! anything missing?" is a range check.

use serde::{Deserialize, Serialize};

/// The shape of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Cases that are asked.
    pub cases: u64,
    /// Prompt entries × models.
    pub variants: u32,
    /// Trials of each case under each variant.
    pub trials: u32,
}

/// Where an ordinal lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The case's rank in the run's committed order.
    pub rank: u64,
    /// The variant's index.
    pub variant: u32,
    /// The trial, from 1.
    pub trial: u32,
}

impl Product {
    /// Jobs of one case: all its variants and trials, which stand together.
    pub fn jobs_per_case(&self) -> u64 {
        u64::from(self.variants) * u64::from(self.trials)
    }

    /// Jobs of the run; `None` when there are more than 2⁶³.
    pub fn jobs(&self) -> Option<u64> {
        self.cases.checked_mul(self.jobs_per_case()).filter(|jobs| i64::try_from(*jobs).is_ok())
    }

    /// Where `ordinal` lies: the case first, then the trial, then the variant, so that both arms of a comparison
    /// run side by side. Beyond the product further rounds of trials follow, each of all cases in the same order.
    pub fn place(&self, ordinal: u64) -> Place {
        let variants = u64::from(self.variants).max(1);
        let per_case = self.jobs_per_case().max(1);
        let within = ordinal % per_case;
        #[expect(clippy::cast_possible_truncation, reason = "below `trials` and `variants`, which are u32")]
        let (trial, variant) = ((within / variants) as u32 + 1, (within % variants) as u32);
        let rank = ordinal / per_case;
        let round = u32::try_from(rank / self.cases.max(1)).unwrap_or(u32::MAX);
        let trial = round.saturating_mul(self.trials).saturating_add(trial);
        Place { rank: rank % self.cases.max(1), variant, trial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ordinal_has_its_own_place() {
        let product = Product { cases: 3, variants: 2, trials: 2 };
        assert_eq!(product.jobs(), Some(12));
        let places: Vec<_> = (0..12).map(|ordinal| product.place(ordinal)).collect();
        assert_eq!(places[0], Place { rank: 0, variant: 0, trial: 1 });
        assert_eq!(places[1], Place { rank: 0, variant: 1, trial: 1 });
        assert_eq!(places[2], Place { rank: 0, variant: 0, trial: 2 });
        assert_eq!(places[11], Place { rank: 2, variant: 1, trial: 2 });
        assert_eq!(product.place(12), Place { rank: 0, variant: 0, trial: 3 });
    }

    #[test]
    fn a_product_beyond_the_store_is_refused() {
        assert_eq!(Product { cases: u64::MAX, variants: 2, trials: 1 }.jobs(), None);
    }
}
