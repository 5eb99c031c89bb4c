//! What a walk found, object by object, and how it is told.

use std::collections::BTreeMap;

use crate::{Mode, compare::Difference};

/// What an object needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Create,
    Change(Vec<Difference>),
    Nothing,
    /// Nothing that this program does: a sentence for a person. Applying ends with a failure while there is one.
    ByHand(String),
}

/// An object at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `Retell agent ivy-dev-sponsor`.
    pub object: String,
    pub action: Action,
    /// What else is worth knowing: a template that waits for its review.
    pub note: Option<String>,
}

/// By the template's parameter: the languages of an agent and its id in each, where there is one already.
pub(crate) type AgentIds = BTreeMap<String, Vec<(String, Option<String>)>>;

/// Everything that a walk found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub items: Vec<Item>,
    pub agents: AgentIds,
}

impl Report {
    /// How many objects are to be created or changed.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.count(|action| matches!(action, Action::Create | Action::Change(_)))
    }

    /// Whether something waits for a person that applying cannot do.
    #[must_use]
    pub fn blocked(&self) -> bool {
        self.count(|action| matches!(action, Action::ByHand(_))) > 0
    }

    fn count(&self, which: impl Fn(&Action) -> bool) -> usize {
        self.items.iter().filter(|item| which(&item.action)).count()
    }

    pub(crate) fn summary(&self) -> String {
        let create = self.count(|action| *action == Action::Create);
        let change = self.count(|action| matches!(action, Action::Change(_)));
        let nothing = self.count(|action| *action == Action::Nothing);
        let by_hand = self.count(|action| matches!(action, Action::ByHand(_)));
        format!("{create} to create, {change} to change, {nothing} as they should be, {by_hand} for a person.")
    }
}

/// Collects what a walk finds. While planning each object is printed; while applying, each thing done.
pub(crate) struct Reporter<'a> {
    mode: Mode,
    line: &'a mut dyn FnMut(&str),
    pub(crate) report: Report,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(mode: Mode, line: &'a mut dyn FnMut(&str)) -> Self {
        Self { mode, line, report: Report::default() }
    }

    pub(crate) fn applies(&self) -> bool {
        self.mode == Mode::Apply
    }

    /// Notes an object, and says whether it is to be written now.
    pub(crate) fn found(&mut self, object: impl Into<String>, action: Action) -> bool {
        self.found_with(object, action, None)
    }

    pub(crate) fn found_with(&mut self, object: impl Into<String>, action: Action, note: Option<String>) -> bool {
        let item = Item { object: object.into(), action, note };
        if self.mode == Mode::Plan {
            self.tell(&item);
        }
        let writes = self.applies() && matches!(item.action, Action::Create | Action::Change(_));
        self.report.items.push(item);
        writes
    }

    /// Says what has just been done.
    pub(crate) fn done(&mut self, what: &str) {
        (self.line)(&format!("done     {what}"));
    }

    fn tell(&mut self, item: &Item) {
        let word = match &item.action {
            Action::Create => "create",
            Action::Change(_) => "change",
            Action::Nothing => "nothing",
            Action::ByHand(_) => "by hand",
        };
        let note = item.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        (self.line)(&format!("{word:<8} {}{note}", item.object));
        match &item.action {
            Action::Change(differences) => {
                for Difference { field, old, new } in differences {
                    (self.line)(&format!("           {field}: {old} -> {new}"));
                }
            }
            Action::ByHand(sentence) => (self.line)(&format!("           {sentence}")),
            Action::Create | Action::Nothing => {}
        }
    }
}

/// What differences ask for.
pub(crate) fn change(differences: Vec<Difference>) -> Action {
    if differences.is_empty() { Action::Nothing } else { Action::Change(differences) }
}
