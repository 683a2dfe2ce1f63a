//! How much memory what clients leave here may take.

/// It does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// An account of bytes: of keys, values, and the names of channels, with what is around them; or of what is not whole.
#[derive(Debug)]
pub(super) struct Memory {
    used: usize,
    most: usize,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { used: 0, most }
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Claims `bytes` more, or none.
    pub(super) fn claim(&mut self, bytes: usize) -> Result<(), Full> {
        self.exchange(0, bytes)
    }

    pub(super) fn release(&mut self, bytes: usize) {
        self.used -= bytes;
    }

    /// Claims `new` in the place of `old`. What grows has to fit.
    pub(super) fn exchange(&mut self, old: usize, new: usize) -> Result<(), Full> {
        let used = self.used - old + new;
        if new > old && used > self.most {
            return Err(Full);
        }
        self.used = used;
        Ok(())
    }
}
