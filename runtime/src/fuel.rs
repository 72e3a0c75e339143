//! What a metered program has left, as the host sees it: the global that the program counts in.

use wasmtime::{AsContextMut, Error, Global, Trap, Val};

use crate::meter::{EXHAUSTED, MOST};

/// The fuel of one program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tank {
    left: Global,
    budget: u64,
}

impl Tank {
    /// Gives a program its budget.
    pub(crate) fn fill(store: impl AsContextMut, left: Global, budget: u64) -> Result<Self, Error> {
        left.set(store, Val::I64(full(budget)))?;
        Ok(Self { left, budget })
    }

    /// Takes fuel for what the host did.
    ///
    /// # Errors
    /// `OutOfFuel` when there is not enough.
    pub(crate) fn charge(&self, mut store: impl AsContextMut, price: u64) -> Result<(), Error> {
        let price = i64::try_from(price).unwrap_or(i64::MAX);
        match self.left(&mut store).checked_sub(price) {
            Some(left @ 0..) => self.left.set(store, Val::I64(left)),
            _ => {
                self.left.set(store, Val::I64(EXHAUSTED))?;
                Err(Trap::OutOfFuel.into())
            }
        }
    }

    /// Whether it ended because it ran out.
    pub(crate) fn is_empty(&self, store: impl AsContextMut) -> bool {
        self.left(store) == EXHAUSTED
    }

    /// What the program used: never more than its budget.
    pub(crate) fn used(&self, store: impl AsContextMut) -> u64 {
        match self.left(store) {
            // It ran out, and was stopped by that or had ended before it could be.
            ..0 => self.budget,
            left => full(self.budget).abs_diff(left),
        }
    }

    fn left(&self, store: impl AsContextMut) -> i64 {
        // It is of this type in every metered module.
        self.left.get(store).i64().unwrap_or(EXHAUSTED)
    }
}

fn full(budget: u64) -> i64 {
    budget.min(MOST).cast_signed()
}
