//! Journals that somebody has touched, as the commands see them.

use super::world::World;
use crate::Step;
use std::sync::Arc;

async fn begun() -> (Arc<World>, String, Vec<String>) {
    let world = World::new(&["ada"]);
    let plan = world.plan(&World::wish()).await;
    let run = world.runner().apply(plan, &Step::ALL).await.unwrap().run;
    let text = std::fs::read_to_string(world.store().path(&run)).unwrap();
    (world, run, text.split_inclusive('\n').map(str::to_owned).collect())
}

#[tokio::test]
async fn an_altered_journal_is_not_gone_on_with() {
    type Change = fn(&mut Vec<String>);
    let cases: [(&str, Change, usize); 7] = [
        ("changed", |l| l[4] = l[4].replace("store", "verify"), 5),
        ("first changed", |l| l[0] = l[0].replace("7d", "0d"), 1),
        ("removed", |l| drop(l.remove(2)), 3),
        ("last removed", |l| drop(l.pop()), 10),
        ("two last removed", |l| l.truncate(l.len() - 2), 9),
        ("inserted", |l| l.insert(2, l[1].clone()), 3),
        ("exchanged", |l| l.swap(3, 4), 4),
    ];
    for (name, change, line) in cases {
        let (world, run, mut lines) = begun().await;
        assert_eq!(lines.len(), 10);
        change(&mut lines);
        let path = world.store().path(&run);
        std::fs::write(&path, lines.concat()).unwrap();
        let effects = world.with(|w| w.effects.len());
        let place = format!("{}:{line}: ", path.display());
        for error in [
            world.store().read(&run).unwrap_err(),
            world.runner().resume(&run, &[]).await.unwrap_err(),
            world.runner().undo(&run).await.unwrap_err(),
        ] {
            assert!(error.to_string().starts_with(&place), "{name}: {error}");
        }
        assert_eq!(world.with(|w| w.effects.len()), effects, "{name}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines.concat(), "{name}: evidence is not touched");
        if line > 1 {
            let busy = world.store().unfinished().unwrap();
            assert_eq!(busy.values().collect::<Vec<_>>(), [&run], "{name}: its keys are taken for unfinished");
        }
    }
}

#[tokio::test]
async fn the_head_belongs_to_the_journal() {
    let of_another = {
        let (world, run, _) = begun().await;
        world.runner().resume(&run, &[]).await.unwrap();
        std::fs::read_to_string(world.store().path(&run).with_extension("head")).unwrap()
    };
    for change in ["", "junk", "00000000000000000003 0000\n", &of_another, &of_another[..of_another.len() / 2]] {
        let (world, run, _) = begun().await;
        let head = world.store().path(&run).with_extension("head");
        std::fs::write(&head, change).unwrap();
        assert!(world.store().read(&run).is_err(), "{change}");
        std::fs::remove_file(&head).unwrap();
        assert!(world.runner().resume(&run, &[]).await.is_err(), "without it");
    }
}

#[tokio::test]
async fn a_half_line_is_cut_off_before_the_next_one() {
    let (world, run, lines) = begun().await;
    let path = world.store().path(&run);
    std::fs::write(&path, format!("{}{{\"seq\":10,\"at\":\"2026", lines.concat())).unwrap();
    assert_eq!(world.store().read(&run).unwrap().entries.len(), 10);
    world.runner().resume(&run, &[]).await.unwrap();
    let after = world.store().read(&run).unwrap();
    assert!(after.entries.len() > 10);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(&lines.concat()));
    world.finish(&run).await;
    world.assert_rotated("half line");
}

#[tokio::test]
async fn runs_are_found_by_name_only() {
    let (world, run, _) = begun().await;
    assert_eq!(world.store().runs().unwrap(), std::slice::from_ref(&run));
    for name in ["", "..", "../x", "nosuch", "a/b"] {
        let error = world.runner().resume(name, &[]).await.unwrap_err().to_string();
        assert!(error.contains("there is no run"), "{name}: {error}");
    }
    let held = world.store().open(&run).unwrap();
    let error = world.runner().resume(&run, &[]).await.unwrap_err().to_string();
    assert!(error.contains("another process is working on this run"), "{error}");
    drop(held);
    world.runner().resume(&run, &[]).await.unwrap();
}
