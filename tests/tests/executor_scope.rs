//! scratch
use pollywog_executor::driver::ThreadDriver;
use pollywog_executor::{Executor, Handle, scope, spawn, task::yield_now};
use pollywog_tests::executor::*;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;

struct Both(bool, bool);
impl Drop for Both {
    fn drop(&mut self) {
        if self.1 {
            panic!("expected: drop")
        }
    }
}
impl Future for Both {
    type Output = OnDrop<fn()>;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<OnDrop<fn()>> {
        if self.0 {
            panic!("expected: poll")
        }
        Poll::Ready(OnDrop::new(|| panic!("expected: output")))
    }
}

#[test]
fn poll_and_drop() {
    in_a_child("poll_and_drop", || {
        silence_expected_panics();
        let m = panic_of(|| {
            run(async {
                scope(async |s| {
                    s.spawn(Both(true, true));
                })
                .await
            })
        });
        println!("{m}");
    });
}
#[test]
fn drop_and_output() {
    in_a_child("drop_and_output", || {
        silence_expected_panics();
        let m = panic_of(|| {
            run(async {
                scope(async |s| {
                    s.spawn(Both(false, true));
                })
                .await
            })
        });
        println!("{m}");
    });
}
#[test]
fn abort_before_arrival() {
    bounded(|| {
        run(async {
            let h = Handle::current();
            let task = thread::spawn(move || h.spawn(pending::<()>())).join().unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        })
    });
}
#[test]
fn reused() {
    in_a_child("reused", || {
        let mut fut = Box::pin(scope(async |s| {
            s.spawn(async {
                yield_now().await;
                yield_now().await;
            });
        }));
        let mut first = true;
        run(poll_fn(|cx| {
            assert!(fut.as_mut().poll(cx).is_pending());
            if first {
                first = false;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        let m = bounded_local(move || panic_of(|| run(async { fut.await })));
        println!("{m}");
    });
}
fn bounded_local<R>(f: impl FnOnce() -> R) -> R {
    f()
}
#[test]
fn foreign_spawn() {
    bounded(|| {
        let a = Executor::new().unwrap();
        let b = Executor::new().unwrap();
        let kept = Rc::new(RefCell::new(None));
        let k = kept.clone();
        let polls = Rc::new(Cell::new(0));
        let task = a.spawn(async move {
            scope(async |s| {
                *k.borrow_mut() = Some(s.clone());
                yield_now().await;
                yield_now().await
            })
            .await
        });
        a.block_on(&mut ThreadDriver::new(), yield_now());
        let p = polls.clone();
        b.block_on(&mut ThreadDriver::new(), async {
            let s = kept.borrow().clone().unwrap();
            s.spawn(async move {
                p.set(p.get() + 1);
                yield_now().await;
                p.set(p.get() + 1);
            });
            yield_now().await;
        });
        a.block_on(&mut ThreadDriver::new(), async { task.await.unwrap() });
        println!("polls {}", polls.get());
    });
}
