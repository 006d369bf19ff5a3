//! The two sides that the gate compares: what the disk says it is, and what the record says belongs into this slot.

use crate::{
    fields::{ParseError, fields_and_later, or_dash},
    identity::{Epoch, Generation, Incarnation, LearnerLimit, MemberId},
};

const KEYS: [&str; 4] = ["incarnation", "member", "generation", "epoch"];

/// Not in what earlier releases wrote.
const LEARNERS: &str = "max-learners";

/// What a disk says it is; lies on the data volume and is written by the guard alone, before every start of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The cluster's life that the disk belongs to.
    pub incarnation: Incarnation,
    /// Whose log the disk holds; unknown for a founder until the record knows it.
    pub member: Option<MemberId>,
    /// Which of the cluster's disks this is.
    pub generation: Generation,
    /// The learner limit that the incarnation was born with: the log is replayed under it for ever, also when the record is
    /// lost while nobody runs. Unknown on a disk that an earlier release started.
    pub max_learners: Option<LearnerLimit>,
    /// How often etcd was started on it, this start included.
    pub epoch: Epoch,
}

/// What the record gives to this slot; rendered by the platform, may lag behind the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The cluster's present life.
    pub incarnation: Incarnation,
    /// The member that lives in the slot, once known.
    pub member: Option<MemberId>,
    /// The disk that the slot has now.
    pub generation: Generation,
    /// The learner limit of the incarnation; unknown in what an earlier release rendered.
    pub max_learners: Option<LearnerLimit>,
    /// The latest start on that disk that the record has seen; 0 before the first.
    pub epoch: Epoch,
}

impl Marker {
    /// Reads a marker file.
    ///
    /// # Errors
    /// Anything that [`Marker::render`] would not write.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let ([incarnation, member, generation, epoch], [max_learners]) = fields_and_later(text, KEYS, [LEARNERS])?;
        Ok(Self {
            incarnation: incarnation.value()?,
            member: member.optional()?,
            generation: generation.value()?,
            max_learners: max_learners.map(|field| field.value()).transpose()?,
            epoch: epoch.value()?,
        })
    }

    /// The content of the marker file.
    pub fn render(&self) -> String {
        let learners = self.max_learners.map(|limit| format!("{LEARNERS}={limit}\n")).unwrap_or_default();
        let member = or_dash(self.member);
        let Self { incarnation, generation, epoch, .. } = self;
        format!("incarnation={incarnation}\nmember={member}\ngeneration={generation}\n{learners}epoch={epoch}\n")
    }
}

impl Seat {
    /// Reads a seat file.
    ///
    /// # Errors
    /// Anything that [`Seat::render`] would not write.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let Marker { incarnation, member, generation, max_learners, epoch } = Marker::parse(text)?;
        Ok(Self { incarnation, member, generation, max_learners, epoch })
    }

    /// Which of two readings of one seat counts, the second of which may be fresher: the one further on in the same life of
    /// the cluster, and the second where they speak of different ones.
    #[must_use]
    pub fn newer(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) => {
                let age = |seat: &Self| (seat.generation, seat.epoch, seat.member.is_some());
                let first_leads = first.incarnation == second.incarnation && age(&first) > age(&second);
                Some(if first_leads { first } else { second })
            }
            (first, second) => second.or(first),
        }
    }

    /// The content of the seat file.
    pub fn render(&self) -> String {
        let Self { incarnation, member, generation, max_learners, epoch } = self.clone();
        Marker { incarnation, member, generation, max_learners, epoch }.render()
    }
}
