//! The table of tasks and the queue of those that are ready.
//!
//! ```text
//!             insert                      pop (clears `scheduled`)
//!  (free) ───────────► Idle, scheduled ─────────────────► Running
//!    ▲                   ▲  ▲                              │  │ │
//!    │                   │  └──── schedule while running ──┘  │ └─ finish ─► Done ─┐
//!    │                   └─ schedule ── Idle ◄──── pend ──────┘                    │
//!    └──────── free ◄── Dead, while still queued ◄── join, detach ─────────────────┘
//! ```
//!
//! - Invariant 2: `scheduled` implies that the slot is in the queue, once; so the queue is never longer than the
//!   table, and a slot that is freed while queued stays `Dead` until it is popped.
//! - Invariant 3: `scheduled` is cleared before the poll, so a wake during the poll queues the task again, after it.
//! - Invariant 4: a stale generation is ignored; what would hurt more than one spurious poll compares the full number.
//! - Invariant 9: `abort` sets the flag, then queues the task: one step that cannot be lost, and it never runs a
//!   destructor in the caller.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

use crate::key::{ExecutorId, MAX_SLOTS};
use crate::slots::Slots;
use crate::stage::Origin;
use crate::task::{Id, TaskBox};
use crate::waker::TaskId;

/// What each turn of a task looks at comes first: it is in cache together.
#[repr(C)]
pub(crate) struct Tasks {
    slots: Slots<Slot>,
    ready: VecDeque<u32>,
    pub(crate) polls: u64,
    /// Wakes that queued a task.
    pub(crate) wakes: u64,
    /// How many are not finished.
    pub(crate) alive: usize,
    pub(crate) spawned: u64,
}

struct Slot {
    /// In the slot while the task is `Idle` or `Done`; taken out while it runs.
    task: Option<TaskBox>,
    joiner: Option<Waker>,
    state: State,
    scheduled: bool,
    aborted: bool,
    /// A `JoinHandle` pins the slot.
    joinable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Running,
    /// The result waits for the handle.
    Done,
    /// Nothing is left but the entry in the queue.
    Dead,
    /// The future of `block_on`, which lives on that function's stack.
    Root,
}

/// Who runs next.
#[must_use]
pub(crate) enum Popped {
    Root,
    /// To be polled or, if `aborted`, cancelled; then given to `finish` or `pend`.
    Task {
        key: TaskId,
        id: Id,
        task: TaskBox,
        aborted: bool,
    },
}

/// What the owner of a handle finds.
#[must_use]
pub(crate) enum Joined {
    Pending,
    Done(TaskBox),
    /// The executor shut down before the task could finish.
    Gone,
}

impl Tasks {
    pub(crate) fn new(executor: ExecutorId) -> Self {
        Self { slots: Slots::new(executor), ready: VecDeque::new(), polls: 0, wakes: 0, alive: 0, spawned: 0 }
    }

    fn insert_as(&mut self, sequence: u64, state: State, task: Option<TaskBox>) -> Result<TaskId, Option<TaskBox>> {
        let joinable = state != State::Root;
        let slot = Slot { task, joiner: None, state, scheduled: true, aborted: false, joinable };
        let key = self.slots.insert(sequence, slot).map_err(|slot| slot.task)?;
        self.ready.push_back(key.slot());
        Ok(TaskId(key))
    }

    /// Stores a task with its handle, ready to run. Gives it back where the table is full.
    pub(crate) fn insert(&mut self, id: Id, task: TaskBox) -> Result<TaskId, TaskBox> {
        let key = self.insert_as(id.sequence(), State::Idle, Some(task)).map_err(|task| task.expect("it was given"))?;
        self.alive += 1;
        self.spawned += 1;
        Ok(key)
    }

    /// Gives the future of `block_on` an id, ready to run.
    pub(crate) fn insert_root(&mut self, sequence: u64) -> TaskId {
        match self.insert_as(sequence, State::Root, None) {
            Ok(key) => key,
            Err(_) => panic!("{MAX_SLOTS} tasks are alive, the most that one executor can hold"),
        }
    }

    /// Queues the task, if it is there, unfinished and not queued already.
    #[inline]
    pub(crate) fn schedule(&mut self, key: TaskId) {
        if let Some(slot) = self.slots.get_mut(key.0)
            && !slot.scheduled
            && !matches!(slot.state, State::Done | State::Dead)
        {
            slot.scheduled = true;
            self.ready.push_back(key.0.slot());
            self.wakes += 1;
        }
    }

    /// The next in the queue. A task is taken out of its slot while it runs.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Popped> {
        loop {
            let number = self.ready.pop_front()?;
            let (sequence, slot) = self.slots.at(number).expect("a queued slot is not free");
            slot.scheduled = false;
            if slot.state == State::Idle {
                slot.state = State::Running;
                let aborted = slot.aborted;
                let task = slot.task.take().expect("an idle task is in its slot");
                let key = TaskId(self.slots.key_at(number, sequence));
                self.polls += u64::from(!aborted);
                return Some(Popped::Task { key, id: Id::new(self.slots.executor(), sequence), task, aborted });
            }
            if let Some(root) = self.pop_other(number) {
                return Some(root);
            }
        }
    }

    /// What the queue holds beside tasks to run: the root, and slots that are kept for the queue alone, and free now.
    #[inline(never)]
    fn pop_other(&mut self, number: u32) -> Option<Popped> {
        let (sequence, slot) = self.slots.at(number).expect("a queued slot is not free");
        match slot.state {
            State::Root => {
                self.polls += 1;
                return Some(Popped::Root);
            }
            State::Dead => {
                let key = self.slots.key_at(number, sequence);
                self.slots.remove(key);
            }
            // Queued before it finished, which it did when it was polled for another reason.
            State::Done => {}
            State::Idle | State::Running => unreachable!("one task runs at a time"),
        }
        None
    }

    /// Moves one of those that are ready to the front: number `choice`, counted round.
    pub(crate) fn prefer(&mut self, choice: u64) {
        if let Some(last) = self.ready.len().checked_sub(1) {
            self.ready.swap(0, (choice % (last as u64 + 1)) as usize);
        }
    }

    /// Whether a task waits for its turn.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Running → Idle: the task returned `Pending`.
    #[inline]
    pub(crate) fn pend(&mut self, key: TaskId, task: TaskBox) {
        let slot = self.slots.get_mut(key.0).expect("a running task has its slot");
        slot.state = State::Idle;
        slot.task = Some(task);
    }

    /// Running → Done, or free where no handle is left, and then the task is given back to be dropped. The joiner is
    /// to be woken.
    pub(crate) fn finish(&mut self, key: TaskId, task: TaskBox) -> (Option<Waker>, Option<TaskBox>) {
        self.alive -= 1;
        let slot = self.slots.get_mut(key.0).expect("a running task has its slot");
        let joiner = slot.joiner.take();
        if slot.joinable {
            slot.state = State::Done;
            slot.task = Some(task);
            return (joiner, None);
        }
        self.free(key);
        (joiner, Some(task))
    }

    /// Frees the slot, now or when the queue comes to it (invariant 2).
    fn free(&mut self, key: TaskId) {
        if let Some(slot) = self.slots.get_mut(key.0) {
            slot.state = State::Dead;
            if !slot.scheduled {
                self.slots.remove(key.0);
            }
        }
    }

    /// The root's time is over. Where it has woken itself in its last poll, nothing is left to do for that.
    pub(crate) fn remove_root(&mut self, key: TaskId) {
        self.free(key);
        if self.slots.get(key.0).is_some() {
            self.ready.retain(|slot| *slot != key.0.slot());
            self.slots.remove(key.0);
        }
    }

    /// What the handle's owner asks; `Done` frees the slot.
    pub(crate) fn join(&mut self, key: TaskId, id: Id) -> Joined {
        let Some(slot) = self.slots.get_exact(key.0, id.sequence()) else { return Joined::Gone };
        match slot.state {
            State::Dead => Joined::Gone,
            State::Done => {
                let task = slot.task.take().expect("a finished task is in its slot");
                self.free(key);
                Joined::Done(task)
            }
            _ => Joined::Pending,
        }
    }

    /// Whether the result is there, or never will be.
    pub(crate) fn is_finished(&mut self, key: TaskId, id: Id) -> bool {
        match self.slots.get_exact(key.0, id.sequence()) {
            Some(slot) => matches!(slot.state, State::Done | State::Dead),
            None => true,
        }
    }

    /// Stores who waits for the result, and gives back who did before: to be dropped with nothing borrowed.
    pub(crate) fn swap_joiner(&mut self, key: TaskId, id: Id, joiner: Option<Waker>) -> Option<Waker> {
        match self.slots.get_exact(key.0, id.sequence()) {
            Some(slot) => mem::replace(&mut slot.joiner, joiner),
            None => joiner,
        }
    }

    /// The handle is gone. Gives back what is to be dropped with nothing borrowed: a finished task, a joiner.
    pub(crate) fn detach(&mut self, key: TaskId, id: Id) -> (Option<Waker>, Option<TaskBox>) {
        let Some(slot) = self.slots.get_exact(key.0, id.sequence()) else { return (None, None) };
        slot.joinable = false;
        let joiner = slot.joiner.take();
        if slot.state != State::Done {
            return (joiner, None);
        }
        let task = slot.task.take();
        self.free(key);
        (joiner, task)
    }

    /// Flag, then wake (invariant 9).
    pub(crate) fn abort(&mut self, key: TaskId, id: Id) {
        if let Some(slot) = self.slots.get_exact(key.0, id.sequence()) {
            slot.aborted = true;
            self.schedule(key);
        }
    }

    /// Shutting down: empties slot number `number`, whatever it holds. Its handle will find it gone.
    pub(crate) fn evict(&mut self, number: u32) -> Option<(Id, Option<TaskBox>, Option<Waker>)> {
        let (sequence, slot) = self.slots.at(number)?;
        if slot.state == State::Idle {
            self.alive -= 1;
        }
        slot.state = State::Dead;
        let (task, joiner) = (slot.task.take(), slot.joiner.take());
        Some((Id::new(self.slots.executor(), sequence), task, joiner))
    }

    /// The tasks that are not finished, but for one that is running.
    pub(crate) fn waiting(&mut self) -> Vec<Origin> {
        let mut waiting = Vec::new();
        for number in 0..self.slot_count() {
            if let Some((sequence, slot)) = self.slots.at(number)
                && let (State::Idle, Some(task)) = (slot.state, &slot.task)
            {
                let location = task.location();
                waiting.push(Origin { id: Id::new(self.slots.executor(), sequence), location });
            }
        }
        waiting
    }

    /// How many slots a walk over all of them has to look at.
    pub(crate) fn slot_count(&self) -> u32 {
        self.slots.capacity_used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_as_small_as_the_docs_say() {
        assert_eq!(Slots::<Slot>::BYTES_PER_ENTRY, 48);
    }
}
