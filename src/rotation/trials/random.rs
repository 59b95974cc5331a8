//! Random histories: operators who apply, resume and undo, processes that are killed, calls that fail, time that passes, keys that are
//! used. The same seed makes the same history.

use super::world::{FAULTS, World};
use crate::{LastUse, State, Step};
use chrono::TimeDelta;

/// A small generator (splitmix64): good enough to shuffle, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

async fn history(seed: u64) {
    let mut dice = Dice(seed);
    let names: &[&str] = if dice.roll(2) == 0 { &["ada"] } else { &["ada", "bob", "eve"] };
    let world = World::new(names);
    world.with(|w| w.lag = TimeDelta::seconds([0, 0, 3][dice.roll(3)]));
    let plan = world.plan(&World::wish()).await;
    let what = format!("seed {seed}");
    let mut undone = false;
    for _ in 0..3 + dice.roll(8) {
        let calls = world.with(|w| w.calls.len());
        world.with(|w| w.faults.clear());
        for _ in 0..dice.roll(4) {
            let (number, fault) = (calls + 1 + dice.roll(60 * names.len()), FAULTS[dice.roll(FAULTS.len())]);
            world.with(|w| {
                w.faults.insert(number, fault);
            });
        }
        if dice.roll(3) == 0 {
            world.kill_at(1 + dice.roll(120 * names.len()));
        }
        match (world.run(), dice.roll(12)) {
            (None, _) => drop(world.live(world.runner().apply(plan.clone(), &Step::ALL)).await),
            (Some(run), 0) => {
                undone = true;
                drop(world.live(world.runner().undo(&run)).await);
            }
            (Some(run), _) => drop(world.live(world.runner().resume(&run, &[])).await),
        }
        world.restart();
        world.with(|w| w.faults.clear());
        world.assert_sound(&what);
        world.time.pass(TimeDelta::hours([0, 1, 80, 200][dice.roll(4)]));
        if dice.roll(4) == 0 {
            // Somebody who has not moved yet.
            let at = world.now();
            world.change("ada", |u| {
                u.keys[0].used = Some(LastUse { at, service: None, region: None }).filter(|_| u.keys[0].live.id == u.first)
            });
        }
    }
    let Some(run) = world.run() else { return };
    if dice.roll(2) == 0 {
        let report = world.finish(&run).await;
        world.assert_sound(&what);
        for item in &report.items {
            let (name, done) = (&item.owner, item.state == State::Done);
            assert!(done || undone, "{what}: {item:#?}");
            world.user(name, |u| {
                let ids: Vec<&str> = u.keys.iter().map(|k| k.live.id.as_str()).collect();
                assert_eq!(ids, [u.consumed()], "{what}: {name}");
                assert_eq!(u.consumed() != u.first, done, "{what}: {name}");
            });
        }
    } else {
        world.runner().undo(&run).await.unwrap();
        world.assert_sound(&what);
        for name in names {
            world.user(name, |u| {
                let ids: Vec<&str> = u.keys.iter().map(|k| k.live.id.as_str()).collect();
                assert_eq!(ids, [u.consumed()], "{what}: {name}");
            });
        }
    }
    assert!(world.store().unfinished().unwrap().is_empty(), "{what}");
}

#[tokio::test]
async fn whatever_happens_nobody_is_locked_out() {
    for seed in 0..120 {
        history(seed).await;
    }
}
