//! The circles among arrows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::resolve::Arrow;

/// Modules of which each uses each, over others or not.
pub(super) struct Circle {
    /// All of them.
    pub(super) modules: Vec<usize>,
    /// A shortest way round.
    pub(super) arrows: Vec<Arrow>,
}

/// The circles, each with all modules that are in it.
pub(super) fn circles(arrows: &[Arrow]) -> Vec<Circle> {
    // The first arrow between two modules stands for all.
    let mut from: BTreeMap<usize, BTreeMap<usize, &Arrow>> = BTreeMap::new();
    for arrow in arrows {
        let out = from.entry(arrow.from).or_default();
        out.entry(arrow.to).or_insert(arrow);
    }
    let way = |start, end| way(&from, start, end);
    let mut circles = Vec::new();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    for start in from.keys().copied() {
        if done.contains(&start) || way(start, start).is_none() {
            continue;
        }
        let together = |other: &usize| {
            *other == start || (way(start, *other).is_some() && way(*other, start).is_some())
        };
        let modules: Vec<usize> = from.keys().copied().filter(together).collect();
        done.extend(&modules);
        let rounds = modules.iter().filter_map(|module| way(*module, *module));
        let arrows = rounds.min_by_key(Vec::len).unwrap_or_default();
        circles.push(Circle { modules, arrows });
    }
    circles
}

/// A shortest way, of at least one arrow, from `start` to `end`.
fn way(
    from: &BTreeMap<usize, BTreeMap<usize, &Arrow>>,
    start: usize,
    end: usize,
) -> Option<Vec<Arrow>> {
    let mut reached: BTreeMap<usize, &Arrow> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(module) = next.pop_front() {
        for (to, arrow) in from.get(&module).into_iter().flatten() {
            if reached.contains_key(to) {
                continue;
            }
            reached.insert(*to, arrow);
            next.push_back(*to);
        }
        if reached.contains_key(&end) {
            break;
        }
    }
    let mut back = vec![(*reached.get(&end)?).clone()];
    while back[back.len() - 1].from != start {
        let arrow = *reached.get(&back[back.len() - 1].from)?;
        back.push(arrow.clone());
    }
    back.reverse();
    Some(back)
}
