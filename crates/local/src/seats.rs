//! What the guards read of the record: one seat file per slot, rendered after every commit and before anything depends on it.

use std::{collections::BTreeSet, fs, io};

use etcdop_core::{id::Slot, record::Record};
use etcdop_engine::gate;
use etcdop_guard::{Epoch, Seat};

use crate::{directory::ClusterDir, state_file::StateError};

/// Brings every seat file up to date and says which slots another member is to live in, or none.
///
/// A later epoch is no reason to try again at once what was refused or ended: a member that ends at every start raises it each time.
pub(crate) fn render(dir: &ClusterDir, record: &Record) -> Result<BTreeSet<Slot>, StateError> {
    let members = dir.slots().map_err(StateError::unreadable(dir.path()))?;
    let slots: BTreeSet<Slot> = members.iter().map(|slot| slot.slot).chain(record.slots.keys().copied()).collect();
    let (mut changed, mut unwritable) = (BTreeSet::new(), Ok(()));
    for slot in slots {
        let files = dir.slot(slot);
        let path = files.seat();
        let wanted = record.slots.get(&slot).and_then(|seat| gate::seat(record, seat)).map(|seat| seat.render());
        // One that cannot be read is replaced like any other.
        let before = etcdop_guard::read_text(&path).ok().flatten();
        if before == wanted {
            continue;
        }
        let done = match &wanted {
            // Not flushed: it is rendered again at every start.
            Some(text) => fs::create_dir_all(files.run()).and_then(|()| etcdop_guard::replace(&path, text)),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        };
        if let Err(error) = done {
            // The seats of the others do not wait for it.
            unwritable = unwritable.and_then(|()| Err(StateError::unwritable(&path)(error)));
            continue;
        }
        if occupant(before.as_deref()) != occupant(wanted.as_deref()) {
            changed.insert(slot);
        }
    }
    unwritable.map(|()| changed)
}

/// Whom a seat is for; none where there is no seat or none that can be read.
fn occupant(text: Option<&str>) -> Option<Seat> {
    let seat = Seat::parse(text?).ok()?;
    Some(Seat { epoch: Epoch(0), ..seat })
}
