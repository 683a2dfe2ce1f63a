//! What an executor owns, reached through the thread's context or through the executor itself.
//!
//! Invariant 10: no foreign code (poll, drop, clone, wake, a tracing event) runs while one of these cells is borrowed.
//! Methods here take what they need out of a cell, let it go, and act.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::mem::{self, ManuallyDrop};
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::budget;
use crate::builder::Settings;
use crate::contain::contain_quietly;
use crate::driver::wake_all;
use crate::key::{ExecutorId, Key, MAX_SLOTS, Sequence};
use crate::mailbox::{Mail, Mailbox};
use crate::metrics::Counters;
use crate::registry::{self, Command, TooManyExecutors};
use crate::task::{Id, TaskBox};
use crate::tasks::{Popped, Tasks};
use crate::time::clock::Clock;
use crate::time::table::Timers;
use crate::trace;
use crate::waker::TaskId;

pub(crate) struct Core {
    pub(crate) id: ExecutorId,
    pub(crate) mailbox: &'static Mailbox<Command>,
    pub(crate) tasks: RefCell<Tasks>,
    pub(crate) timers: RefCell<Timers>,
    /// Woken only after the driver has been looked at once: yields, and tasks whose budget is used up.
    deferred: RefCell<Deferred>,
    /// Numbers tasks and timers.
    sequence: Cell<Sequence>,
    names: RefCell<HashMap<Id, Box<str>>>,
    graveyard: RefCell<Vec<(Id, TaskBox)>>,
    burying: Cell<bool>,
    closing: Cell<bool>,
    /// The first number given out: it tells this owner of the mailbox from others.
    pub(crate) opened_at: u64,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    pub(crate) settings: Settings,
    /// The state of the generator that picks among the ready.
    pub(crate) seed: Cell<Option<u64>>,
    /// The panic that shuts the executor down.
    pub(crate) fatal: RefCell<Option<String>>,
    /// What drives the executor between two ticks.
    pub(crate) outer_loop: RefCell<Option<Arc<Waker>>>,
}

#[derive(Default)]
struct Deferred {
    tasks: Vec<TaskId>,
    foreign: Vec<Waker>,
}

impl Deferred {
    fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.foreign.is_empty()
    }
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Result<Self, TooManyExecutors> {
        let (id, mailbox) = registry::claim()?;
        let mut sequence = Sequence::after(mailbox.open());
        let opened_at = sequence.advance();
        Ok(Self {
            id,
            mailbox,
            tasks: RefCell::new(Tasks::new(id)),
            timers: RefCell::new(Timers::new()),
            deferred: RefCell::default(),
            sequence: Cell::new(sequence),
            names: RefCell::default(),
            graveyard: RefCell::default(),
            burying: Cell::new(false),
            closing: Cell::new(false),
            opened_at,
            clock: Clock::new(),
            counters: Counters::default(),
            seed: Cell::new(settings.seed),
            settings,
            fatal: RefCell::default(),
            outer_loop: RefCell::default(),
        })
    }

    #[inline]
    pub(crate) fn next_sequence(&self) -> u64 {
        let mut sequence = self.sequence.get();
        let number = sequence.advance();
        self.sequence.set(sequence);
        number
    }

    /// Stores a new task, ready to run. While the executor shuts down the task is dropped at once, and its handle
    /// says 'cancelled'.
    #[inline(never)]
    pub(crate) fn spawn_boxed(&self, id: Id, task: TaskBox, name: Option<Box<str>>) -> TaskId {
        if let Some(name) = name {
            self.names.borrow_mut().insert(id, name);
        }
        if self.closing.get() {
            self.bury(id, task);
            return TaskId(Key::new(self.id, 0, id.sequence()));
        }
        let inserted = self.tasks.borrow_mut().insert(id, task);
        match inserted {
            Ok(key) => key,
            Err(task) => {
                self.bury(id, task);
                panic!("{MAX_SLOTS} tasks are alive, the most that one executor can hold");
            }
        }
    }

    /// Queues a task of this executor.
    #[inline]
    pub(crate) fn schedule(&self, task: TaskId) {
        self.tasks.borrow_mut().schedule(task);
    }

    /// Queues those that the driver reported. One that belongs to another executor goes the way of any wake.
    pub(crate) fn schedule_all(&self, ready: &mut Vec<TaskId>) {
        for task in ready.iter() {
            trace::wake(*task, true);
        }
        let mut tasks = self.tasks.borrow_mut();
        ready.retain(|task| {
            let is_ours = task.executor() == self.id;
            if is_ours {
                tasks.schedule(*task);
            }
            !is_ours
        });
        drop(tasks);
        ready.drain(..).for_each(TaskId::wake);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Popped> {
        self.tasks.borrow_mut().pop()
    }

    /// Polls a task that was taken out of its slot, or cancels it, and puts in order what comes of it.
    #[inline(always)]
    pub(crate) fn run_task(&self, key: TaskId, id: Id, mut task: TaskBox, aborted: bool) {
        budget::refill();
        if aborted {
            task.as_mut().cancel(id);
        } else {
            // A waker of ours has nothing to drop, but the compiler would call the function that says so.
            let waker = ManuallyDrop::new(key.waker());
            if task.as_mut().poll(id, &mut Context::from_waker(&waker)).is_pending() {
                self.tasks.borrow_mut().pend(key, task);
                self.die_of_a_panic();
                return;
            }
        }
        self.finish(key, id, task);
    }

    #[inline(never)]
    fn finish(&self, key: TaskId, id: Id, task: TaskBox) {
        let (joiner, detached) = self.tasks.borrow_mut().finish(key, task);
        wake_all(joiner);
        if let Some(task) = detached {
            self.bury(id, task);
        }
        self.die_of_a_panic();
    }

    /// Drops a task that is done with, and reports a panic that nobody has seen.
    ///
    /// The drop of a result can drop the handle of a finished task, whose result holds a handle, and so on: such a
    /// chain is taken off a list here, in constant stack.
    pub(crate) fn bury(&self, id: Id, task: TaskBox) {
        self.graveyard.borrow_mut().push((id, task));
        if self.burying.replace(true) {
            return;
        }
        loop {
            let Some((id, mut task)) = self.graveyard.borrow_mut().pop() else { break };
            if let Some(error) = task.as_mut().clear() {
                trace::unobserved_panic(&error);
                contain_quietly(|| drop(error));
            }
            contain_quietly(|| drop(task));
            self.forget(id);
        }
        self.burying.set(false);
    }

    pub(crate) fn name(&self, id: Id) -> Option<Box<str>> {
        self.names.borrow().get(&id).cloned()
    }

    /// Nothing is left of the task but its name.
    #[inline]
    pub(crate) fn forget(&self, id: Id) {
        let mut names = self.names.borrow_mut();
        if !names.is_empty() {
            names.remove(&id);
        }
    }

    /// Has `waker` woken after the next look at the driver.
    #[inline]
    pub(crate) fn defer(&self, waker: &Waker) {
        match TaskId::of(waker) {
            Some(task) => self.deferred.borrow_mut().tasks.push(task),
            None => {
                let waker = waker.clone();
                self.deferred.borrow_mut().foreign.push(waker);
            }
        }
    }

    pub(crate) fn wake_deferred(&self) {
        if self.deferred.borrow().is_empty() {
            return;
        }
        let Deferred { mut tasks, foreign } = mem::take(&mut *self.deferred.borrow_mut());
        self.schedule_all(&mut tasks);
        wake_all(foreign);
        // The memory serves the next turn, unless a wake has deferred something new.
        let mut deferred = self.deferred.borrow_mut();
        if deferred.tasks.is_empty() {
            deferred.tasks = tasks;
        }
    }

    /// Whether there is something to do without the driver.
    pub(crate) fn has_work(&self) -> bool {
        self.tasks.borrow().has_ready() || !self.deferred.borrow().is_empty()
    }

    /// Reads what other threads posted so far; says whether there was anything.
    pub(crate) fn read_mail(self: &std::rc::Rc<Self>, mail: &mut Mail<Command>) -> bool {
        if !self.mailbox.take(mail) {
            return false;
        }
        let before = self.tasks.borrow().wakes;
        for key in mail.wakes.drain(..) {
            self.schedule(TaskId(key));
        }
        self.counters.count_remote_wakes(self.tasks.borrow().wakes - before);
        for command in mail.commands.drain(..) {
            contain_quietly(|| command(self));
        }
        true
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Drops everything, on this thread, in this executor's context. Destructors may spawn, wake and abort.
    pub(crate) fn close(&self) {
        self.closing.set(true);
        let mail = self.mailbox.close();
        // A cursor, not a search from the start: no slot fills again while the executor shuts down.
        let mut number = 0;
        while number < self.tasks.borrow().slot_count() {
            let evicted = self.tasks.borrow_mut().evict(number);
            if let Some((id, task, joiner)) = evicted {
                if let Some(task) = task {
                    self.bury(id, task);
                }
                wake_all(joiner);
            }
            number += 1;
        }
        let timers = self.timers.replace(Timers::new());
        // Taken out first: a temporary of the `for` would live, and borrow, to its end.
        let deferred = mem::take(&mut *self.deferred.borrow_mut());
        for waker in timers.into_wakers().chain(deferred.foreign) {
            contain_quietly(|| drop(waker));
        }
        for command in mail.commands {
            contain_quietly(|| drop(command));
        }
    }

    /// Gives the executor's number to the next. Destructors have spawned, and their handles must be stale for it.
    pub(crate) fn retire(&self) {
        self.mailbox.retire(self.sequence.get().last());
        registry::release(self.id);
    }
}
