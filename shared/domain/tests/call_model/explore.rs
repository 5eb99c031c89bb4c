//! Breadth-first search through every state of a model, with the shortest run to the first broken promise.
//!
//! States are told apart by a 128-bit key that the model makes of what can still matter; two states with one key are one.
//! (Two different states of a million collide with a chance of 10⁻²⁶.) Only keys, edges and the step that led to each state
//! are kept; a counter-example is made by walking its steps again.
//!
//! When nothing is broken on the way, the graph itself is judged: no state may be left without a step unless it is an end, and
//! no run may go round in a circle. Both together say that *every* run comes to an end, whatever the order of its steps.
//!
//! `stateright` would do the search. It was left out after a look at `cargo tree`: its server for looking at states (`tiny_http`)
//! cannot be switched off, and 0.31 without default features adds 14 crates to the lock file and a further version of four.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub(crate) trait Model {
    type State;
    type Step: Copy + PartialEq;

    fn initial(&self) -> Self::State;
    /// Every step that may be taken, with the state it leads to.
    fn steps(&self, state: &Self::State) -> Vec<(Self::Step, Self::State)>;
    fn key(&self, state: &Self::State) -> u128;
    /// The promise that does not hold in this state.
    fn broken(&self, state: &Self::State) -> Option<String>;
    /// Whether nothing has to follow.
    fn is_end(&self, state: &Self::State) -> bool;
    /// What is worth noting about a state: the search says what it came by.
    fn seen(&self, state: &Self::State) -> Vec<&'static str>;
    /// One line of a run: the step, and where it led.
    fn line(&self, step: Self::Step, after: &Self::State) -> String;
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explored {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    pub(crate) ends: usize,
    pub(crate) seen: BTreeSet<&'static str>,
    pub(crate) broken: Option<CounterExample>,
}

/// A shortest run that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CounterExample {
    pub(crate) promise: String,
    pub(crate) run: Vec<String>,
}

impl fmt::Display for CounterExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.promise)?;
        self.run.iter().enumerate().try_for_each(|(n, line)| writeln!(f, "{:3}  {line}", n + 1))
    }
}

/// The part of the graph that is known so far.
struct Search<'a, M: Model> {
    model: &'a M,
    known: HashMap<u128, usize>,
    came_by: Vec<Option<(usize, M::Step)>>,
    edges: Vec<(usize, usize)>,
    open: VecDeque<(usize, M::State)>,
    found: Explored,
}

/// Searches all states, or up to the first that breaks a promise.
pub(crate) fn explore<M: Model>(model: &M) -> Explored {
    let first = model.initial();
    let mut search = Search {
        model,
        known: HashMap::from([(model.key(&first), 0)]),
        came_by: vec![None],
        edges: Vec::new(),
        open: VecDeque::from([(0, first)]),
        found: Explored { states: 1, steps: 0, ends: 0, seen: BTreeSet::new(), broken: None },
    };
    while let Some((index, state)) = search.open.pop_front() {
        search.found.broken = search.go_on(index, &state);
        if search.found.broken.is_some() {
            return search.found;
        }
    }
    search.found.broken = endless(search.came_by.len(), &search.edges)
        .map(|index| search.counter_example(index, "a run can go on for ever".to_owned()));
    search.found
}

impl<M: Model> Search<'_, M> {
    /// Takes every step from a state; the first counter-example, if one of them breaks a promise.
    fn go_on(&mut self, index: usize, state: &M::State) -> Option<CounterExample> {
        let end = self.model.is_end(state);
        self.found.ends += usize::from(end);
        self.found.seen.extend(self.model.seen(state));
        let Ok(next) = catch_unwind(AssertUnwindSafe(|| self.model.steps(state))) else {
            return Some(self.counter_example(index, "a step panicked".to_owned()));
        };
        let mut leads_on = false;
        for (step, after) in next {
            if let Some(promise) = self.model.broken(&after) {
                let mut found = self.counter_example(index, promise);
                found.run.push(self.model.line(step, &after));
                return Some(found);
            }
            leads_on |= self.step(index, step, after);
        }
        let stuck = "nothing leads on, and the call is not at its end";
        (!leads_on && !end).then(|| self.counter_example(index, stuck.to_owned()))
    }

    /// Notes where a step leads; whether it leads anywhere else.
    fn step(&mut self, from: usize, step: M::Step, after: M::State) -> bool {
        self.found.steps += 1;
        let to = *self.known.entry(self.model.key(&after)).or_insert(self.came_by.len());
        if to == self.came_by.len() {
            self.came_by.push(Some((from, step)));
            self.open.push_back((to, after));
            self.found.states += 1;
        }
        if to != from {
            self.edges.push((from, to));
        }
        to != from
    }

    /// Walks the steps to a state again, a line for each.
    fn counter_example(&self, index: usize, promise: String) -> CounterExample {
        let mut steps = Vec::new();
        let mut at = index;
        while let Some((from, step)) = self.came_by[at] {
            steps.push(step);
            at = from;
        }
        let mut state = self.model.initial();
        let mut run = Vec::new();
        for step in steps.into_iter().rev() {
            let Some((_, after)) = self.model.steps(&state).into_iter().find(|(taken, _)| *taken == step) else {
                break;
            };
            run.push(self.model.line(step, &after));
            state = after;
        }
        CounterExample { promise, run }
    }
}

/// The first state from which some run never ends: what is left when states without a way on are taken away, again and again.
fn endless(states: usize, edges: &[(usize, usize)]) -> Option<usize> {
    let mut ways_on = vec![0_usize; states];
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); states];
    for (from, to) in edges {
        ways_on[*from] += 1;
        before[*to].push(*from);
    }
    let mut over: Vec<usize> = (0..states).filter(|state| ways_on[*state] == 0).collect();
    while let Some(state) = over.pop() {
        for earlier in &before[state] {
            ways_on[*earlier] -= 1;
            if ways_on[*earlier] == 0 {
                over.push(*earlier);
            }
        }
    }
    ways_on.iter().position(|ways| *ways > 0)
}
