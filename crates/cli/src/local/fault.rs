//! `kill`, `freeze`, `thaw`, `wipe`: what a machine does to a member, done by hand. The manager is not told.

use etcdop_local::faults::{self, Fault};
use serde::Serialize;

use crate::{arguments::local::Victim, exit::Exit, failure::Failure, local::Context};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Inflicted {
    name: String,
    slot: u8,
    done: &'static str,
}

/// Does it, and says to whom.
pub(crate) async fn inflict(context: &Context, victim: Victim, fault: Fault) -> Result<Exit, Failure> {
    let cluster = context.named_cluster()?;
    let slot = faults::inflict(cluster.directory(), &victim.member, fault).await?;
    let (done, next) = match fault {
        Fault::Kill => ("killed", "it starts again on its disk"),
        Fault::Freeze => ("frozen", "it is replaced when it stays so: recovery.replaceAfter in cluster.yaml"),
        Fault::Thaw => ("thawed", "it goes on"),
        Fault::Wipe => ("wiped", "it never starts again as the same member; another takes its place"),
    };
    let name = cluster.directory().name().to_string();
    let told = Inflicted { name, slot: slot.0, done };
    context.output.show(&told, |_| format!("{}: the member in slot {slot} was {done}; {next}", told.name))?;
    Ok(Exit::Ok)
}
