//! Clusters of three that one repetition leaves to the next.

use crate::{
    Bench,
    failure::Failure,
    load::Age,
    subject::{Kind, Subject},
};

/// One of each kind that is asked for.
pub(super) struct Kept<'a> {
    bench: &'a Bench,
    age: Age,
    subjects: Vec<Subject>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(bench: &'a Bench, age: Age) -> Self {
        Self { bench, age, subjects: Vec::new() }
    }

    /// That of this kind, made when there is none.
    pub(super) async fn get(&mut self, kind: Kind) -> Result<&Subject, Failure> {
        let is_of_it = |subject: &Subject| subject.kind == kind;
        if !self.subjects.iter().any(is_of_it) {
            let subject = Subject::standing(self.bench, kind, 3).await?;
            self.age.put_on(&subject.endpoints().borrow().clone()).await?;
            self.subjects.push(subject);
        }
        self.subjects
            .iter()
            .find(|subject| is_of_it(subject))
            .ok_or(Failure::Unreadable { what: "which clusters there are" })
    }

    /// The next repetition does not suffer from what went wrong in this one.
    pub(super) async fn give_up(&mut self, kind: Kind) {
        if let Some(at) = self.subjects.iter().position(|subject| subject.kind == kind) {
            // It is the failure of the repetition that is told.
            let _ = self.subjects.swap_remove(at).end().await;
        }
    }

    pub(super) async fn end(self) {
        for subject in self.subjects {
            let _ = subject.end().await;
        }
    }
}
