//! Two tasks that hand a turn to each other.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use pollywog_executor::spawn;

#[derive(Default)]
struct Table {
    turn: Cell<usize>,
    wakers: RefCell<[Option<Waker>; 2]>,
}

/// Lets two tasks make `strokes` together; each is a wake of the other and a poll.
pub(crate) async fn ping_pong(strokes: usize) {
    let table = Rc::new(Table::default());
    let players = [0, 1].map(|me| spawn(player(table.clone(), me, strokes / 2)));
    for player in players {
        player.await.expect("it does not panic");
    }
}

async fn player(table: Rc<Table>, me: usize, strokes: usize) {
    for _ in 0..strokes {
        poll_fn(|cx| {
            if table.turn.get() == me {
                table.turn.set(1 - me);
                let other = table.wakers.borrow_mut()[1 - me].take();
                if let Some(other) = other {
                    other.wake();
                }
                return Poll::Ready(());
            }
            table.wakers.borrow_mut()[me] = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
