//! The parameters of argon2id, and the work that they cost.

use argon2::Params;

/// Parameters of argon2id (RFC 9106 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory for one hash, in KiB, at least 8 for each lane.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes. One thread computes all of them, one after the other.
    pub parallelism: u32,
}

impl HashCost {
    /// The maximum memory for one hash, in KiB: 1 GiB.
    pub const MAX_MEMORY_KIB: u32 = 1 << 20;
    /// The maximum number of passes.
    pub const MAX_ITERATIONS: u32 = 32;
    /// The maximum number of lanes.
    pub const MAX_PARALLELISM: u32 = 16;
    /// The maximum memory of an imported hash, in KiB: 128 MiB. Django's default for argon2 is 100 MiB, and OWASP's
    /// costliest choice for scrypt is 128 MiB.
    pub const MAX_IMPORTED_MEMORY_KIB: u32 = 128 << 10;
    /// The maximum work of an imported hash: 27 hashes with the default settings, about a second of a core.
    const MAX_IMPORTED_WORK: u32 = 1 << 20;
    /// argon2 splits each lane into four slices of at least two blocks of 1 KiB.
    const MIN_MEMORY_KIB_PER_LANE: u32 = 8;

    /// The cost of a hash with `params`.
    pub(crate) fn of(params: &Params) -> Self {
        Self { memory_kib: params.m_cost(), iterations: params.t_cost(), parallelism: params.p_cost() }
    }

    /// The parameters as the argon2 crate takes them.
    ///
    /// # Errors
    /// When argon2 does not allow these parameters.
    pub(crate) fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, None)
    }

    /// Whether each parameter is at most its maximum.
    pub(crate) fn is_within_bounds(self) -> bool {
        self.memory_kib <= Self::MAX_MEMORY_KIB
            && self.iterations <= Self::MAX_ITERATIONS
            && self.parallelism <= Self::MAX_PARALLELISM
    }

    /// Whether a hash of this cost may be imported: it costs no more than the bounds, or no more than a hash of the cost
    /// `current`. One sign-in must not take seconds or gigabytes.
    pub(crate) fn may_be_imported(self, current: Self) -> bool {
        self.memory_kib <= Self::MAX_IMPORTED_MEMORY_KIB.max(current.memory_kib)
            && self.work() <= Self::MAX_IMPORTED_WORK.max(current.work())
    }

    /// Whether any parameter is below that of `other`.
    pub(crate) fn is_weaker_than(self, other: Self) -> bool {
        self.memory_kib < other.memory_kib || self.iterations < other.iterations || self.parallelism < other.parallelism
    }

    /// The work of one hash: its memory in KiB times its passes. The time of a hash is proportional to its work.
    pub(crate) fn work(self) -> u32 {
        self.memory_kib.saturating_mul(self.iterations)
    }

    /// The cost of an extra hash that pads the work `spent`. Both together are the work of one hash of this cost.
    /// `None` if no padding is needed. Rounding loses less than one KiB in each pass. The minimum memory of
    /// argon2 may add work.
    pub(crate) fn padding(self, spent: u32) -> Option<Self> {
        let missing = self.work().saturating_sub(spent);
        if missing == 0 {
            return None;
        }
        // As few passes as this cost's memory allows, so that the padding uses the same memory block.
        let iterations = missing.div_ceil(self.memory_kib);
        let memory_kib = (missing / iterations).max(Self::MIN_MEMORY_KIB_PER_LANE * self.parallelism);
        Some(Self { memory_kib, iterations, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn cost(memory_kib: u32, iterations: u32, parallelism: u32) -> HashCost {
        HashCost { memory_kib, iterations, parallelism }
    }

    #[test]
    fn a_cheaper_hash_and_its_padding_are_the_work_of_a_current_hash() {
        let current = cost(19_456, 2, 1);
        assert_eq!(current.padding(cost(19_456, 1, 1).work()), Some(cost(19_456, 1, 1)));
        assert_eq!(current.padding(cost(9_728, 2, 1).work()), Some(cost(19_456, 1, 1)));
        assert_eq!(current.padding(cost(4_096, 3, 1).work()), Some(cost(13_312, 2, 1)));
        for current in [current, cost(7_168, 5, 1), cost(65_536, 3, 4), cost(1_048_576, 32, 16)] {
            for spent in [cost(8, 1, 1), cost(1_000, 3, 1), cost(7_168, 1, 1), cost(12_288, 2, 2)] {
                let padding = current.padding(spent.work()).unwrap();
                let off = current.work() - spent.work() - padding.work();
                assert!(off < padding.iterations, "{current:?} {spent:?} {padding:?}");
                assert!(padding.memory_kib <= current.memory_kib, "{padding:?}");
                padding.params().unwrap();
            }
        }
    }

    #[test]
    fn the_padding_is_never_smaller_than_argon2_allows() {
        let padding = cost(64, 3, 2).padding(191).unwrap();
        assert_eq!(padding, cost(16, 1, 2));
        padding.params().unwrap();
    }

    #[test]
    fn a_hash_that_costs_as_much_or_more_needs_no_padding() {
        let current = cost(19_456, 2, 1);
        for spent in [current, cost(38_912, 1, 1), cost(19_456, 3, 1), cost(u32::MAX, u32::MAX, 1)] {
            assert_eq!(current.padding(spent.work()), None, "{spent:?}");
        }
    }

    #[test]
    fn an_imported_hash_is_bounded_in_memory_and_time() {
        let current = cost(19_456, 2, 1);
        for allowed in [current, cost(102_400, 2, 8), cost(131_072, 8, 1), cost(32_768, 32, 1)] {
            assert!(allowed.may_be_imported(current), "{allowed:?}");
        }
        for refused in [cost(131_073, 1, 1), cost(131_072, 9, 1), cost(u32::MAX, u32::MAX, 1)] {
            assert!(!refused.may_be_imported(current), "{refused:?}");
            assert!(refused.may_be_imported(refused), "a hash of our own can move between our stores: {refused:?}");
        }
    }

    #[test]
    fn a_hash_is_weaker_when_any_parameter_is_lower() {
        let current = cost(19_456, 2, 2);
        for weaker in [cost(19_455, 9, 9), cost(99_999, 1, 9), cost(99_999, 9, 1)] {
            assert!(weaker.is_weaker_than(current), "{weaker:?}");
        }
        assert!(!current.is_weaker_than(current));
        assert!(!cost(19_456, 3, 2).is_weaker_than(current));
    }
}
