//! One task at one direction of one end, and what it draws.

use std::sync::Arc;
use std::time::Duration;

use pollywog_net::task::yield_now;
use pollywog_net::time::sleep;

use super::case::{Case, Place};
use super::drive::Way;
use super::fate::Life;
use super::operations::Operation;
use super::stats::Happening;
use crate::net::Random;

/// From this step on a lane hurries: a case is not to take seconds.
const PATIENCE: usize = 150;

/// The largest transfer.
const LARGEST: usize = 100 << 10;

/// Why a lane stops.
#[derive(Debug)]
pub(super) enum Exit {
    /// Nothing is left to do.
    Done,
    /// Its end is dropped.
    Left,
    /// It goes on there.
    Move(Place),
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) case: Arc<Case>,
    pub(super) end: usize,
    pub(super) random: Random,
    pub(super) place: Place,
    /// Another task does the same beside it, so it keeps off what has one place for a waker.
    pub(super) is_second: bool,
    /// It takes little at once and pauses often, so that who writes has to wait.
    is_slow: bool,
    /// It does without a pause as many small things as the budget of a poll allows, and more.
    pub(super) is_greedy: bool,
    steps: usize,
    until_move: usize,
    number: usize,
}

impl Lane {
    pub(super) fn new(case: Arc<Case>, end: usize, number: usize, place: Place, mut random: Random) -> Self {
        let (until_move, is_slow, is_greedy) = (random.below(20), random.below(3) == 0, random.below(8) == 0);
        Self { case, end, number, place, random, is_second: false, is_slow, is_greedy, steps: 0, until_move }
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.random.below(count) == 0
    }

    pub(super) fn hurries(&self) -> bool {
        self.steps > if self.is_greedy { 4 * PATIENCE } else { PATIENCE }
    }

    /// How much is to be transferred at once.
    pub(super) fn size(&mut self) -> usize {
        match self.random.below(12) {
            _ if self.hurries() => LARGEST,
            _ if self.is_greedy => 1 + self.random.below(16),
            0 => 0,
            1..4 => 1 + self.random.below(32),
            4..8 if self.is_slow => 1 + self.random.below(1 << 10),
            _ if self.is_slow => 1 + self.random.below(8 << 10),
            4..8 => 1 + self.random.below(4 << 10),
            _ => 1 + self.random.below(LARGEST),
        }
    }

    /// `total` in pieces, some of them empty.
    pub(super) fn pieces(&mut self, mut total: usize) -> Vec<usize> {
        let mut pieces = Vec::new();
        for _ in 0..self.random.below(6) {
            let piece = self.random.below(total + 1);
            pieces.push(piece);
            total -= piece;
        }
        pieces.push(total);
        pieces
    }

    fn life(&mut self) -> Life {
        match self.random.below(12) {
            _ if self.hurries() => Life::Whole,
            0..3 => Life::Polls(1 + self.random.below(3)),
            3 => Life::Woken(1 + self.random.below(2)),
            4 => self.at_once(),
            5 => Life::Time(Duration::from_micros(self.random.below(1_500) as u64)),
            _ => Life::Whole,
        }
    }

    /// For what may have to wait for ever.
    pub(super) fn at_once(&mut self) -> Life {
        Life::AtOnce(1 + self.random.below(3))
    }

    /// How to do something that will be ready in the end. `rival` is what it may have to race.
    pub(super) fn way(&mut self, rival: Operation) -> Way {
        match self.random.below(6) {
            _ if self.hurries() => Way::Live(Life::Whole),
            _ if self.is_greedy => Way::Live(self.life()),
            0 if rival.room() != Some(0) => Way::Race(rival, self.one_in(2)),
            1 => {
                let count = 1 + self.random.below(3);
                let places = (0..count).map(|_| (self.anywhere(), self.random.below(3))).collect();
                Way::Carry(self.random.below(3), places, self.life())
            }
            _ => Way::Live(self.life()),
        }
    }

    fn anywhere(&mut self) -> Place {
        match self.random.below(3) {
            2 => Place::New,
            home => Place::Home(home),
        }
    }

    fn elsewhere(&mut self) -> Place {
        match (self.place, self.random.below(3)) {
            (Place::Home(home), 0 | 1) => Place::Home(1 - home),
            (Place::New, 0 | 1) => Place::Home(self.random.below(2)),
            _ => Place::New,
        }
    }

    /// Where to go on, if not here.
    pub(super) fn moves(&mut self) -> Option<Place> {
        self.steps += 1;
        self.until_move = self.until_move.checked_sub(1).unwrap_or_else(|| 1 + self.random.below(20));
        (self.until_move == 0 && !self.is_greedy && !self.hurries()).then(|| self.elsewhere())
    }

    /// It has moved.
    pub(super) fn go(&mut self, place: Place) {
        self.place = place;
        let moved = if place == Place::New { Happening::MovedToNew } else { Happening::Moved };
        self.case.counters.happened(moved);
        self.note(format!("goes to {place:?}"));
    }

    /// Another thread polls what this lane polls: whether it is to leave the field.
    pub(super) fn gives_way(&mut self) -> bool {
        self.is_second && self.one_in(3)
    }

    /// Lets others run for a while.
    pub(super) async fn pause(&mut self) {
        let seldom = if self.is_slow { 2 } else { 6 };
        if self.hurries() || self.is_greedy || !self.one_in(seldom) {
            return;
        }
        self.case.counters.happened(Happening::Paused);
        if self.one_in(4) {
            sleep(Duration::from_micros(self.random.below(1_500) as u64)).await;
        } else {
            for _ in 0..self.random.below(12) {
                yield_now().await;
            }
        }
    }

    pub(super) fn note(&self, what: String) {
        self.case.note(self.number, what);
    }
}
