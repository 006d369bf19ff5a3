//! The one-time permit: the only way for an empty disk to become a member.

use crate::{
    cluster::{ClusterState, PeerName, PeerUrl, parse_initial_cluster, render_initial_cluster},
    fields::{ParseError, fields, or_dash},
    identity::{Generation, Incarnation, InstanceId, MemberId},
};

/// Lets one instance start etcd once on an empty disk; written by the platform, never by the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The only process that may use it.
    pub instance: InstanceId,
    /// The cluster's life that it was given in.
    pub incarnation: Incarnation,
    /// The disk that it was given for.
    pub generation: Generation,
    /// The member that will live on the disk; unknown for a founder.
    pub member: Option<MemberId>,
    /// All members with their peer URLs, as of the moment the permit was given; never empty.
    pub initial_cluster: Vec<(PeerName, PeerUrl)>,
    /// Whether the cluster is being formed or runs already.
    pub state: ClusterState,
}

const KEYS: [&str; 6] = ["instance", "incarnation", "generation", "member", "initial-cluster", "initial-cluster-state"];

impl Permit {
    /// Reads a permit file.
    ///
    /// # Errors
    /// Anything that [`Permit::render`] would not write.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let [instance, incarnation, generation, member, peers, state] = fields(text, KEYS)?;
        Ok(Self {
            instance: instance.value()?,
            incarnation: incarnation.value()?,
            generation: generation.value()?,
            member: member.optional()?,
            initial_cluster: parse_initial_cluster(peers.text).map_err(|why| peers.bad(&why))?,
            state: state.value()?,
        })
    }

    /// The content of the permit file.
    pub fn render(&self) -> String {
        let Self { instance, incarnation, generation, member, initial_cluster, state } = self;
        let member = or_dash(*member);
        let peers = render_initial_cluster(initial_cluster);
        format!(
            "instance={instance}\nincarnation={incarnation}\ngeneration={generation}\nmember={member}\n\
             initial-cluster={peers}\ninitial-cluster-state={state}\n"
        )
    }

    /// The flags that tell etcd what it starts into; etcd takes the last of a repeated flag.
    pub fn first_start_flags(&self) -> [String; 3] {
        [
            // Equal tokens and URLs would give a cluster the IDs of the one before it.
            format!("--initial-cluster-token={}", self.incarnation.as_str().replace('/', "-")),
            format!("--initial-cluster={}", render_initial_cluster(&self.initial_cluster)),
            format!("--initial-cluster-state={}", self.state),
        ]
    }
}
