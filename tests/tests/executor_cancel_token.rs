//! Cancel tokens: who is cancelled with whom, each waiter woken once, nothing left behind.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::future::{Future, Ready, pending, poll_fn, ready};
use std::mem::{ManuallyDrop, forget};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;

use pollywog_executor::cancel::{CancelToken, Cancelled, DropGuard, RunUntilCancelled};
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, spawn, task::yield_now};
use pollywog_tests::executor::{
    Counter, OnDrop, bounded, on_a_stack_of, panic_of, poll_with, run, silence_expected_panics,
};

const MILLION: usize = 1_000_000;
const SMALL_STACK: usize = 512 << 10;

const _: () = {
    const fn may_go_anywhere<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug>() {}
    const fn is_a_value<T: Clone + Default>() {}
    const fn may_be_sent<T: Send + Sync + Unpin>() {}
    may_go_anywhere::<CancelToken>();
    is_a_value::<CancelToken>();
    may_go_anywhere::<DropGuard>();
    may_be_sent::<Cancelled<'static>>();
    may_be_sent::<RunUntilCancelled<'static, Ready<()>>>();
};

/// Counts the bytes that this thread has allocated and not freed.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed on to `System` unchanged, which keeps `GlobalAlloc`'s contract; the count beside it is a
// thread-local without a destructor and allocates nothing. `realloc` is the default, which calls these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`, and `data` came from `System` with this layout.
        unsafe { System.dealloc(data, layout) }
    }
}

/// A waker that notes its number when it is woken.
struct Notes(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Notes {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Calls `f` when it is woken.
struct Calls<F>(F);

impl<F: Fn() + Send + Sync> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A future that waits, with a waker that counts.
fn waiter(token: &CancelToken) -> (Cancelled<'static>, Arc<Counter>) {
    let (mut cancelled, waker) = (token.clone().cancelled_owned(), Counter::new());
    assert_eq!(poll_with(&mut cancelled, waker.clone()), Poll::Pending);
    (cancelled, waker)
}

/// Whether it is cancelled, which all ways to ask agree on.
fn is_cancelled(token: &CancelToken) -> bool {
    let answer = token.is_cancelled();
    let waker = Counter::new();
    assert_eq!(poll_with(&mut token.cancelled(), waker.clone()).is_ready(), answer);
    assert_eq!((waker.count(), Arc::strong_count(&waker)), (0, 1));
    assert_eq!(token.clone().is_cancelled(), answer);
    assert_eq!(token.child_token().is_cancelled(), answer, "a child is born as its parent is");
    answer
}

/// Every tree of `size` tokens, each as a list of the parents; the first token has none.
fn trees(size: usize) -> Vec<Vec<usize>> {
    let mut trees = vec![vec![0]];
    for _ in 1..size {
        trees = trees.iter().flat_map(|tree| (0..tree.len()).map(|parent| [&tree[..], &[parent]].concat())).collect();
    }
    trees
}

fn is_below(parents: &[usize], mut token: usize, ancestor: usize) -> bool {
    while token != ancestor && token != 0 {
        token = parents[token];
    }
    token == ancestor
}

#[test]
fn in_every_tree_what_is_cancelled_is_a_token_and_all_below_it() {
    const SIZE: usize = 5;
    for parents in trees(SIZE) {
        // Which tokens all their owners have dropped makes no difference to the others.
        for (cancelled, dropped) in (0..SIZE).flat_map(|token| (0..1 << SIZE).map(move |mask| (token, mask))) {
            if dropped >> cancelled & 1 == 1 {
                continue;
            }
            let mut tokens = vec![Some(CancelToken::new())];
            for &parent in &parents[1..] {
                tokens.push(tokens[parent].as_ref().map(CancelToken::child_token));
            }
            for (number, token) in tokens.iter_mut().enumerate() {
                token.take_if(|_| dropped >> number & 1 == 1);
            }
            let waiters: Vec<_> = tokens.iter().map(|token| token.as_ref().map(waiter)).collect();
            for times in 1..3 {
                tokens[cancelled].as_ref().unwrap().cancel();
                for (number, token) in tokens.iter().enumerate() {
                    let Some(token) = token else { continue };
                    let expected = is_below(&parents, number, cancelled);
                    let (_, waker) = waiters[number].as_ref().unwrap();
                    let tree = format!("{number} of {parents:?} without {dropped:#b}, {cancelled} cancelled ×{times}");
                    assert_eq!(is_cancelled(token), expected, "{tree}");
                    assert_eq!(waker.count(), usize::from(expected), "{tree}");
                }
            }
        }
    }
}

#[test]
fn waiters_are_woken_in_the_order_in_which_they_first_waited_and_parents_first() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let parent = CancelToken::new();
    let (older, younger) = (parent.child_token(), parent.child_token());
    let below = older.child_token();
    let places = [&younger, &below, &parent, &older, &parent, &below, &parent, &younger, &older];
    let mut waiters: Vec<_> = places.iter().map(|token| token.cancelled()).collect();
    let poll = |(number, waiter): (usize, &mut Cancelled<'_>)| {
        assert_eq!(poll_with(waiter, Arc::new(Notes(number, order.clone()))), Poll::Pending);
    };
    waiters.iter_mut().enumerate().for_each(poll);
    waiters.iter_mut().enumerate().rev().for_each(poll); // again, which changes no place
    drop(waiters.remove(4));
    parent.clone().cancel();
    older.cancel();
    parent.cancel();
    assert_eq!(*order.lock().unwrap(), [2, 6, 3, 8, 0, 7, 1, 5], "each once");
    for mut waiter in waiters {
        assert_eq!(poll_with(&mut waiter, Counter::new()), Poll::Ready(()));
        assert_eq!(poll_with(&mut waiter, Counter::new()), Poll::Ready(()), "and stays so");
    }
}

#[test]
fn all_are_cancelled_before_the_first_is_woken() {
    bounded(|| {
        let parent = CancelToken::new();
        let tokens: Vec<_> = (0..3).flat_map(|_| [parent.child_token(), parent.child_token().child_token()]).collect();
        let seen = Arc::new(AtomicUsize::new(0));
        let waker = Arc::new(Calls({
            let (tokens, seen) = (tokens.clone(), seen.clone());
            move || {
                assert!(tokens.iter().all(CancelToken::is_cancelled));
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }));
        let mut waiters: Vec<_> = tokens.iter().chain([&parent]).map(|token| token.clone().cancelled_owned()).collect();
        assert!(waiters.iter_mut().all(|waiter| poll_with(waiter, waker.clone()).is_pending()));
        parent.cancel();
        assert_eq!(seen.load(Ordering::SeqCst), 7);
    });
}

#[test]
fn the_latest_waker_is_the_one_that_is_woken() {
    let token = CancelToken::new();
    let wakers = [(); 3].map(|()| Counter::new());
    let mut cancelled = token.cancelled();
    for waker in &wakers {
        assert_eq!(poll_with(&mut cancelled, waker.clone()), Poll::Pending);
    }
    assert_eq!(wakers.each_ref().map(Arc::strong_count), [1, 1, 2], "the others are let go");
    token.cancel();
    assert_eq!(wakers.each_ref().map(|waker| waker.count()), [0, 0, 1]);
    assert_eq!(wakers.each_ref().map(Arc::strong_count), [1, 1, 1]);
}

#[test]
fn a_waiter_that_is_dropped_leaves_nothing_and_is_not_woken() {
    let parent = CancelToken::new();
    let token = parent.child_token();
    let mut waiters: Vec<_> = (0..20).map(|_| waiter(&token)).collect();
    let mut gone = Vec::new();
    for number in [19, 0, 7, 7, 3] {
        let (cancelled, waker) = waiters.remove(number);
        drop(cancelled);
        assert_eq!(Arc::strong_count(&waker), 1);
        gone.push(waker);
    }
    drop(token.cancelled()); // one that never waited
    parent.cancel();
    assert!(gone.iter().all(|waker| waker.count() == 0));
    assert!(waiters.iter().all(|(_, waker)| waker.count() == 1 && Arc::strong_count(waker) == 1));
}

#[test]
fn a_waiter_may_own_the_last_handle_of_its_token() {
    let parent = CancelToken::new();
    let (cancelled, waker) = waiter(&parent.child_token().child_token());
    parent.cancel();
    assert_eq!(waker.count(), 1);
    drop(cancelled);

    // One that is forgotten keeps its place, and no more than that.
    let token = CancelToken::new();
    let waker = Counter::new();
    let mut forgotten = token.cancelled();
    assert!(poll_with(&mut forgotten, waker.clone()).is_pending());
    forget(forgotten);
    drop(token);
    assert_eq!((waker.count(), Arc::strong_count(&waker)), (0, 1));
}

#[test]
fn a_million_children_of_one_parent_that_come_and_go_leave_not_a_byte() {
    bounded(|| {
        let shutdown = CancelToken::new();
        let waker = Waker::noop();
        let mut cx = Context::from_waker(waker);
        let connection = |cx: &mut Context<'_>| {
            let token = shutdown.child_token();
            let (_below, _clone) = (token.child_token(), token.clone());
            assert!(pin!(token.cancelled()).poll(cx).is_pending());
            assert!(pin!(shutdown.cancelled()).poll(cx).is_pending());
            assert!(pin!(shutdown.run_until_cancelled(pending::<()>())).poll(cx).is_pending());
        };
        connection(&mut cx); // the first makes the tables, which stay
        let before = LIVE.get();
        for _ in 0..MILLION / 10 {
            connection(&mut cx);
        }
        assert_eq!(LIVE.get(), before);
        // Ten thousand at once, that go in the order in which they came: the second time needs no more than the first.
        let many = || drop((0..MILLION / 100).map(|_| shutdown.child_token()).collect::<Vec<_>>());
        many();
        let before = LIVE.get();
        for _ in 0..90 {
            many();
        }
        assert_eq!(LIVE.get(), before);
        shutdown.cancel();
        let before = LIVE.get();
        (0..1000).for_each(|_| drop(shutdown.child_token()));
        assert_eq!(LIVE.get(), before, "a cancelled parent keeps no children");
    });
}

#[test]
fn to_leave_does_not_scan_those_that_stay() {
    const COUNT: usize = 200_000;
    bounded(|| {
        let token = CancelToken::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut many: Vec<_> = (0..COUNT)
            .map(|_| {
                let mut waiter = token.cancelled();
                assert!(Pin::new(&mut waiter).poll(&mut cx).is_pending());
                Some((waiter, token.child_token()))
            })
            .collect();
        // Neither in order nor against it: 7 and the count have no common divisor.
        let mut number = 0;
        for _ in 0..COUNT {
            drop(many[number].take().unwrap());
            number = (number + 7) % COUNT;
        }
    });
}

#[test]
fn a_chain_a_million_deep_is_cancelled_and_dropped_on_a_small_stack() {
    /// A million below the first, each the child of the one before.
    fn chain(first: &CancelToken) -> Vec<CancelToken> {
        let mut tokens = vec![first.child_token()];
        for number in 0..MILLION - 1 {
            tokens.push(tokens[number].child_token());
        }
        tokens
    }

    on_a_stack_of(SMALL_STACK, || {
        let before = LIVE.get();
        for is_cancelled in [false, true] {
            // Only the ends are kept, so that the last of the chain takes all of it along.
            let first = CancelToken::new();
            let last = chain(&first).pop().unwrap();
            let (cancelled, waker) = waiter(&last);
            if is_cancelled {
                first.cancel();
            }
            assert_eq!((last.is_cancelled(), waker.count()), (is_cancelled, usize::from(is_cancelled)));
            drop((cancelled, last, first, waker));

            // All are kept, and go from the last to the first.
            let first = CancelToken::new();
            let mut tokens = chain(&first);
            if is_cancelled {
                first.cancel();
            }
            assert!(tokens.iter().all(|token| token.is_cancelled() == is_cancelled));
            tokens.reverse();
            drop((tokens, first));
        }
        assert_eq!(LIVE.get(), before);
    });
}

/// Two threads that meet before each of many rounds; a round that hangs fails the test.
fn race<T: Send + Sync + 'static>(
    rounds: usize,
    make: impl Fn() -> T,
    here: impl Fn(&T),
    there: impl Fn(&T) + Send + 'static,
) {
    let (barrier, shared) = (Arc::new(Barrier::new(2)), Arc::new(Mutex::new(None::<Arc<T>>)));
    let other = thread::spawn({
        let (barrier, shared) = (barrier.clone(), shared.clone());
        move || {
            for _ in 0..rounds {
                barrier.wait();
                let value = shared.lock().unwrap().clone().unwrap();
                there(&value);
                drop(value);
                barrier.wait();
            }
        }
    });
    for _ in 0..rounds {
        let value = Arc::new(make());
        *shared.lock().unwrap() = Some(value.clone());
        barrier.wait();
        here(&value);
        barrier.wait();
    }
    other.join().unwrap();
}

#[test]
fn cancel_races_with_whoever_begins_to_wait() {
    bounded(|| {
        let executor = Executor::new().unwrap();
        let await_here =
            move |token: &CancelToken| executor.block_on(&mut ThreadDriver::new(), token.child_token().cancelled());
        race(3000, CancelToken::new, await_here, CancelToken::cancel);
        let await_there = |token: &CancelToken| futures::executor::block_on(token.cancelled());
        race(3000, CancelToken::new, CancelToken::cancel, await_there);
    });
}

#[test]
fn cancel_races_with_cancel_and_both_find_all_cancelled() {
    bounded(|| {
        let woken = Arc::new(Counter::default());
        let make = {
            let woken = woken.clone();
            move || {
                let parent = CancelToken::new();
                let children: Vec<_> = (0..20).map(|_| parent.child_token()).collect();
                let mut waiters: Vec<_> = children.iter().map(|token| token.child_token().cancelled_owned()).collect();
                assert!(waiters.iter_mut().all(|waiter| poll_with(waiter, woken.clone()).is_pending()));
                (parent, children, waiters)
            }
        };
        type Family = (CancelToken, Vec<CancelToken>, Vec<Cancelled<'static>>);
        let cancel = |(parent, children, _): &Family| {
            parent.cancel();
            assert!(children.iter().all(CancelToken::is_cancelled));
        };
        race(500, make, cancel, cancel);
        assert_eq!(woken.count(), 500 * 20, "each once");
    });
}

#[test]
fn cancel_races_with_children_that_come_and_go() {
    bounded(|| {
        race(
            2000,
            CancelToken::new,
            |parent| {
                let child = parent.child_token();
                let grandchild = child.child_token();
                drop(child);
                drop(parent.child_token());
                futures::executor::block_on(grandchild.cancelled_owned());
                assert!(parent.is_cancelled());
            },
            |parent| {
                let child = parent.child_token();
                drop(parent.child_token());
                parent.cancel();
                assert!(child.is_cancelled());
            },
        );
    });
}

thread_local! {
    static PARENT: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
    static REENTRIES: Cell<usize> = const { Cell::new(0) };
}

static REENTERING: RawWakerVTable = RawWakerVTable::new(
    |data| {
        reenter();
        RawWaker::new(data, &REENTERING)
    },
    |_| reenter(),
    |_| reenter(),
    |_| reenter(),
);

/// Uses the token in each way that takes a lock.
fn reenter() {
    REENTRIES.set(REENTRIES.get() + 1);
    let parent = PARENT.with_borrow(|parent| parent.clone().unwrap());
    let child = parent.child_token();
    let mut waiter = parent.cancelled();
    assert_eq!(poll_with(&mut waiter, Counter::new()).is_ready(), child.is_cancelled());
    child.cancel();
}

#[test]
fn a_waker_that_comes_back_in_finds_nothing_locked() {
    bounded(|| {
        let parent = CancelToken::new();
        PARENT.set(Some(parent.clone()));
        // SAFETY: the functions of `REENTERING` do not look at the data, so they are safe to call from any thread and
        // there is no resource to keep or to release.
        let waker = ManuallyDrop::new(unsafe { Waker::new(ptr::null(), &REENTERING) });
        let mut cx = Context::from_waker(&waker);
        let entered = |times: usize| assert_eq!(REENTRIES.replace(0), times);

        let (mut woken, mut dropped) = (parent.cancelled(), parent.cancelled());
        for waiter in [&mut woken, &mut dropped] {
            assert!(Pin::new(waiter).poll(&mut cx).is_pending());
            entered(1); // cloned
        }
        assert!(Pin::new(&mut woken).poll(&mut cx).is_pending());
        entered(0); // it is there already
        // SAFETY: as above.
        let other = ManuallyDrop::new(unsafe { Waker::new(ptr::dangling(), &REENTERING) });
        assert!(Pin::new(&mut woken).poll(&mut Context::from_waker(&other)).is_pending());
        entered(2); // cloned, and the one before dropped
        drop(dropped);
        entered(1);
        parent.cancel();
        entered(1); // woken
        assert!(Pin::new(&mut woken).poll(&mut cx).is_ready());
        drop(woken);
        REENTRIES.set(0);
        PARENT.set(None);
    });
}

#[test]
fn a_wake_may_cancel_and_drop_other_waiters_and_the_token_itself() {
    bounded(|| {
        let token = CancelToken::new();
        let (other, waker) = waiter(&token);
        let (behind, behind_waker) = (token.child_token(), Counter::new());
        let mut behind = behind.cancelled_owned();
        assert!(poll_with(&mut behind, behind_waker.clone()).is_pending());
        let held = Mutex::new(Some((other, behind, token.clone())));
        let acts = Arc::new(Calls(move || {
            let (other, behind, token) = held.lock().unwrap().take().expect("it is woken once");
            assert!(is_cancelled(&token));
            token.cancel();
            drop((other, behind, token));
        }));
        let mut first = token.clone().cancelled_owned();
        assert!(poll_with(&mut first, acts).is_pending());
        let (last, last_waker) = waiter(&token);
        token.cancel();
        assert_eq!([&waker, &behind_waker, &last_waker].map(Arc::strong_count), [1, 1, 1]);
        assert_eq!(last_waker.count(), 1);
        drop((first, last));
    });
}

#[test]
fn a_waker_that_panics_takes_no_other_along() {
    silence_expected_panics();
    let token = CancelToken::new();
    let mut waiters = Vec::new();
    for _ in 0..3 {
        waiters.push(waiter(&token));
        let mut bad = token.clone().cancelled_owned();
        assert!(poll_with(&mut bad, Arc::new(Calls(|| panic!("expected: wake")))).is_pending());
        waiters.push((bad, Counter::new()));
    }
    token.cancel();
    assert!(waiters.iter().step_by(2).all(|(_, waker)| waker.count() == 1));
    assert!(is_cancelled(&token));
}

/// A waker whose drop panics, and which does nothing else.
fn panics_in_drop() -> Waker {
    struct Bad {
        _guard: OnDrop<fn()>,
    }
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {}
    }
    Waker::from(Arc::new(Bad { _guard: OnDrop::new(|| panic!("expected: drop")) }))
}

static FAILS_TO_CLONE: RawWakerVTable = RawWakerVTable::new(|_| panic!("expected: clone"), |_| {}, |_| {}, |_| {});

#[test]
fn a_waker_that_panics_in_clone_or_drop_leaves_the_token_as_it_should_be() {
    silence_expected_panics();
    let token = CancelToken::new();
    let (mut cancelled, first) = waiter(&token);
    // SAFETY: as above, the functions do not look at the data.
    let bad = unsafe { Waker::new(ptr::null(), &FAILS_TO_CLONE) };
    let mut poll_badly = || Pin::new(&mut cancelled).poll(&mut Context::from_waker(&bad));
    assert!(catch_unwind(AssertUnwindSafe(&mut poll_badly)).is_err());
    assert_eq!(Arc::strong_count(&first), 2, "the waker before is still there");

    let bad = panics_in_drop();
    assert!(Pin::new(&mut cancelled).poll(&mut Context::from_waker(&bad)).is_pending());
    drop(bad);
    let last = Counter::new();
    let polled = catch_unwind(AssertUnwindSafe(|| poll_with(&mut cancelled, last.clone())));
    assert!(polled.is_err(), "it drops the one before");
    token.cancel();
    assert_eq!((first.count(), last.count()), (0, 1));

    let token = CancelToken::new();
    let mut cancelled = token.cancelled();
    assert!(Pin::new(&mut cancelled).poll(&mut Context::from_waker(&panics_in_drop())).is_pending());
    let (_kept, kept) = waiter(&token);
    token.cancel();
    assert_eq!(kept.count(), 1, "a panic of the drop in the wake is contained");
}

/// A future that is ready at its `ready_at`th poll, counts them and notes its drop.
struct Work {
    polls: Rc<Cell<usize>>,
    ready_at: usize,
    _guard: OnDrop<Box<dyn FnOnce()>>,
}

impl Work {
    fn new(ready_at: usize) -> (Self, Rc<Cell<usize>>, Rc<Cell<usize>>) {
        let (polls, drops) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let count = drops.clone();
        let guard = OnDrop::new(Box::new(move || count.set(count.get() + 1)) as Box<dyn FnOnce()>);
        (Self { polls: polls.clone(), ready_at, _guard: guard }, polls, drops)
    }
}

impl Future for Work {
    type Output = &'static str;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<&'static str> {
        self.polls.set(self.polls.get() + 1);
        assert!(self.polls.get() <= self.ready_at, "polled after it was ready");
        if self.polls.get() == self.ready_at { Poll::Ready("done") } else { Poll::Pending }
    }
}

#[test]
fn run_until_cancelled_at_every_poll() {
    // Work that is ready at poll `ready_at`, a token that is cancelled before poll `cancel_at`.
    for (ready_at, cancel_at) in (1..5).flat_map(|ready_at| (1..6).map(move |cancel_at| (ready_at, cancel_at))) {
        let token = CancelToken::new();
        let (work, polls, drops) = Work::new(ready_at);
        let waker = Counter::new();
        let mut running = token.run_until_cancelled(work);
        let (result, at) = (1..)
            .find_map(|poll| {
                if poll == cancel_at {
                    token.cancel();
                }
                match poll_with(&mut running, waker.clone()) {
                    Poll::Ready(result) => Some((result, poll)),
                    Poll::Pending => None,
                }
            })
            .unwrap();
        let case = format!("ready at {ready_at}, cancelled before {cancel_at}");
        // At the first poll the token is asked first, then the future.
        let is_done = ready_at < cancel_at || (ready_at == cancel_at && cancel_at > 1);
        assert_eq!((result, at), (is_done.then_some("done"), ready_at.min(cancel_at)), "{case}");
        assert_eq!(polls.get(), if cancel_at == 1 { 0 } else { at }, "{case}");
        assert_eq!(drops.get(), 1, "the future goes with the result; {case}");
        assert_eq!(Arc::strong_count(&waker), 1, "and so does the waiter; {case}");
        assert_eq!(waker.count(), usize::from(at == cancel_at && at > 1), "{case}");
        assert!(panic_of(|| poll_with(&mut running, waker)).starts_with("it is not polled after"), "{case}");
    }
}

#[test]
fn run_until_cancelled_is_dropped_at_every_poll() {
    for drop_at in 0..5 {
        let parent = CancelToken::new();
        let (work, polls, drops) = Work::new(6);
        let waker = Counter::new();
        let mut running = parent.child_token().run_until_cancelled_owned(work);
        for _ in 0..drop_at {
            assert!(poll_with(&mut running, waker.clone()).is_pending());
        }
        drop(running);
        assert_eq!((polls.get(), drops.get(), Arc::strong_count(&waker)), (drop_at, 1, 1));
        parent.cancel();
        assert_eq!(waker.count(), 0);
    }
}

#[test]
fn a_future_that_cancels_what_it_runs_under() {
    let token = CancelToken::new();
    let mut cancels = pin!(token.run_until_cancelled(poll_fn(|_| {
        token.cancel();
        Poll::<()>::Pending
    })));
    assert_eq!(poll_with(&mut cancels, Counter::new()), Poll::Ready(None), "seen in the same poll");
    let token = CancelToken::new();
    let cancels = token.run_until_cancelled(async { token.cancel() });
    assert_eq!(futures::executor::block_on(cancels), Some(()), "who is ready has it");
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    silence_expected_panics();
    let token = CancelToken::new();
    let child = token.child_token();
    let guard = token.clone().drop_guard();
    let disarmed = guard.disarm();
    assert!(!token.is_cancelled());
    drop(disarmed);
    assert!(!token.is_cancelled(), "nor is it by the drop of a handle");

    let (_cancelled, waker) = waiter(&child);
    let guard = token.clone().drop_guard();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _guard = guard;
        panic!("expected: unwinding");
    }));
    assert!(unwound.is_err());
    assert!(token.is_cancelled() && child.is_cancelled());
    assert_eq!(waker.count(), 1);
    drop(token.drop_guard());
    assert_eq!(waker.count(), 1);
}

#[test]
fn tasks_of_two_executors_and_of_another_make_stop_together() {
    bounded(|| {
        let shutdown = CancelToken::new();
        let (started, ended) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
        let serve = || {
            let (token, started, ended) = (shutdown.child_token(), started.clone(), ended.clone());
            async move {
                let work = async move {
                    started.wait();
                    pending::<()>().await;
                };
                assert_eq!(token.run_until_cancelled(work).await, None);
                ended.fetch_add(1, Ordering::SeqCst);
            }
        };
        let (ours, theirs) = (serve(), serve());
        let ours = thread::spawn(move || {
            run(async {
                let task = spawn(ours);
                task.await.unwrap();
            });
        });
        let theirs = thread::spawn(move || futures::executor::block_on(theirs));
        started.wait();
        shutdown.cancel();
        ours.join().unwrap();
        theirs.join().unwrap();
        assert_eq!(ended.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn an_aborted_task_cancels_through_its_guard_and_leaves_its_waiter_behind_nowhere() {
    bounded(|| {
        run(async {
            let parent = CancelToken::new();
            let child = parent.child_token();
            let waits = spawn(parent.clone().cancelled_owned());
            let guard = child.clone().drop_guard();
            let guards = spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            yield_now().await;
            guards.abort();
            waits.abort();
            child.cancelled().await;
            assert!(waits.await.unwrap_err().is_cancelled());
            assert!(!parent.is_cancelled());
            let before = spawn(ready(1));
            parent.cancel(); // wakes nobody
            assert_eq!(before.await.unwrap(), 1);
        });
    });
}

#[test]
fn it_says_whether_it_is_cancelled() {
    let token = CancelToken::default();
    assert_eq!(format!("{token:?}"), "CancelToken { is_cancelled: false, .. }");
    token.cancel();
    assert_eq!(format!("{token:?}"), "CancelToken { is_cancelled: true, .. }");
}
