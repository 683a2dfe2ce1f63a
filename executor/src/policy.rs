//! What the loop decides by the executor's settings: who runs next, when to sleep, what a panic ends.

use std::fmt::Write;
use std::mem;

use crate::builder::UnhandledPanic;
use crate::contain::contain_quietly;
use crate::context;
use crate::core::Core;
use crate::driver::{Driver, Park};
use crate::join::JoinError;
use crate::trace;

impl Core {
    /// How many tasks run before the next look at the driver. With a seed it is one, which the seed has moved to the
    /// front of the queue.
    #[inline]
    pub(crate) fn slice(&self) -> u32 {
        match self.seed.get() {
            None => self.settings.event_interval,
            Some(seed) => {
                let (seed, choice) = split_mix(seed);
                self.seed.set(Some(seed));
                self.tasks.borrow_mut().prefer(choice);
                1
            }
        }
    }

    /// How long the executor, which has nothing to do, may sleep; `None` is not at all.
    #[inline]
    pub(crate) fn next_park(&self, driver: &dyn Driver) -> Option<Park> {
        let deadline = self.next_deadline();
        if !self.clock.is_paused() {
            return Some(deadline.map_or(Park::Unlimited, |at| Park::Until(self.clock.machine_at(at))));
        }
        // Where a timer is due, or the clock will be moved, there is only a look at the driver.
        let is_due = deadline.is_some_and(|at| at <= self.clock.now());
        let moves = self.clock.is_free() && (deadline.is_some() || driver.is_simulation());
        (!is_due && !moves).then_some(Park::Unlimited)
    }

    /// Moves the paused clock to the next deadline. Without one, a simulation has come to its end.
    pub(crate) fn move_clock(&self, is_simulation: bool) {
        match self.next_deadline() {
            Some(deadline) => self.clock.advance_to(deadline),
            None if is_simulation => panic!("{}", self.why_stuck()),
            None => {}
        }
    }

    fn why_stuck(&self) -> String {
        let mut report = "nothing can ever run again: no task is ready, no timer is set, and nothing outside wakes a \
                          simulation. These wait for ever:\n  the future of `block_on`"
            .to_owned();
        let waiting = self.tasks.borrow_mut().waiting();
        for origin in waiting {
            let name = self.name(origin.id).map(|name| format!(" '{name}'")).unwrap_or_default();
            let _ = write!(report, "\n  task {}{name}, spawned at {}", origin.id, origin.location);
        }
        report
    }

    /// The executor is about to sleep, or to move a paused clock, unless somebody who hears of it wakes a task. A log
    /// layer that does so at each event would keep it awake for ever, so the log is told once, until it has slept.
    pub(crate) fn before_sleep(&self, told: &mut bool) {
        if !mem::replace(told, true) {
            trace::idle();
        }
        if let Some(hook) = &self.settings.on_park
            && !self.has_work()
        {
            contain_quietly(|| hook());
        }
    }

    pub(crate) fn after_sleep(&self) {
        if let Some(hook) = &self.settings.on_unpark {
            contain_quietly(|| hook());
        }
    }

    /// A task has panicked.
    pub(crate) fn note_panic(&self, error: &JoinError) {
        if self.settings.unhandled_panic == UnhandledPanic::ShutdownRuntime && !self.is_closing() {
            self.fatal.borrow_mut().get_or_insert_with(|| format!("{error:?}"));
        }
    }

    /// Ends the executor where the panic of a task is to end it.
    #[inline]
    pub(crate) fn die_of_a_panic(&self) {
        if self.settings.unhandled_panic == UnhandledPanic::ShutdownRuntime && self.fatal.borrow().is_some() {
            self.die();
        }
    }

    #[cold]
    #[inline(never)]
    fn die(&self) {
        self.close();
        let error = self.fatal.borrow().clone().unwrap_or_default();
        panic!("the executor shuts down, as its settings ask for: {error}");
    }

    /// A panic that the caller of `block_on` has seen, since it was one of the root future's own children.
    pub(crate) fn forget_panic(&self) {
        self.fatal.take();
    }

    pub(crate) fn assert_open(&self) {
        assert!(!self.is_closing(), "the executor has shut down because a task panicked");
    }

    /// Whether there is something to do, or to read.
    pub(crate) fn has_more(&self) -> bool {
        self.has_work() || self.mailbox.has_mail()
    }

    /// Nothing runs from here on. Whoever brings something to do tells the outer loop, if there is one (invariant 7); what
    /// is there already is told here, if `tells`.
    pub(crate) fn rest(&self, tells: bool) {
        let outer = self.outer_loop.borrow().clone().filter(|_| !self.is_closing());
        self.mailbox.set_unparker(outer.clone());
        if let Some(outer) = outer
            && (self.has_work() || !self.mailbox.try_park())
            && tells
        {
            contain_quietly(|| outer.wake_by_ref());
        }
    }

    /// A task was spawned, maybe while nothing runs.
    pub(crate) fn tell_outer_loop(&self) {
        let outer = self.outer_loop.borrow().clone();
        if let Some(outer) = outer
            && !self.is_running_here()
            && !self.is_closing()
            && self.mailbox.end_park()
        {
            contain_quietly(|| outer.wake_by_ref());
        }
    }

    pub(crate) fn is_running_here(&self) -> bool {
        context::with(|core| core.is_some_and(|core| core.id == self.id))
    }
}

/// SplitMix64: Steele, Lea and Flood, 'Fast splittable pseudorandom number generators', 2014.
fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (state, mixed ^ (mixed >> 31))
}
