//! The registers of a rule that are in use.

/// A register of a rule's window.
pub(super) type Register = u8;

/// How many registers a rule can have: the VM counts them in 8 bits.
pub(super) const REGISTERS: usize = 255;

/// A rule's registers. The first is its result's, its parameters' are the next, and these are never
/// freed.
#[derive(Debug)]
pub(super) struct Registers {
    used: [bool; REGISTERS],
    count: Register,
}

impl Registers {
    /// With the registers of the result and of this many parameters in use.
    pub(super) fn new(parameters: usize) -> Self {
        let mut used = [false; REGISTERS];
        let fixed = parameters.saturating_add(1).min(REGISTERS);
        used.iter_mut().take(fixed).for_each(|used| *used = true);
        Self { used, count: Register::try_from(fixed).unwrap_or(Register::MAX) }
    }

    /// The lowest register that is not in use.
    pub(super) fn take(&mut self) -> Option<Register> {
        let (index, used) = self.used.iter_mut().enumerate().find(|(_, used)| !**used)?;
        *used = true;
        let register = Register::try_from(index).ok()?;
        self.count = self.count.max(register.saturating_add(1));
        Some(register)
    }

    /// Frees the register.
    pub(super) fn give_back(&mut self, register: Register) {
        if let Some(used) = self.used.get_mut(usize::from(register)) {
            *used = false;
        }
    }

    /// The required size of the window.
    pub(super) const fn count(&self) -> Register {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_used_again_when_it_is_given_back() {
        let mut registers = Registers::new(2);
        assert_eq!(registers.take(), Some(3));
        assert_eq!(registers.take(), Some(4));
        registers.give_back(3);
        assert_eq!(registers.take(), Some(3));
        assert_eq!(registers.count(), 5);
    }

    #[test]
    fn there_are_255_registers() {
        let mut registers = Registers::new(0);
        assert!((0..254).all(|_| registers.take().is_some()));
        assert_eq!(registers.take(), None);
        assert_eq!(registers.count(), 255);
    }
}
