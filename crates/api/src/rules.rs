//! What admission refuses: each rule is a CEL expression with what to write instead. What is checked again in Rust says the same
//! words.

use std::time::Duration;

use etcdop_core::launch;
use kube::core::{Message, Rule};

/// A rule and its message.
type Told = (&'static str, &'static str);

/// Labels and annotations of the Pods that are the operator's; as in [`OWN_LABELS`] and [`OWN_ANNOTATIONS`].
pub(crate) const OWN_KEYS: [&str; 7] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "etcd.etcd.io/cluster",
    "etcd.etcd.io/launch",
    "etcd.etcd.io/seat",
    "etcd.etcd.io/permit",
];
/// Containers that are the operator's; as in [`OWN_CONTAINERS`].
pub(crate) const OWN_NAMES: [&str; 3] = ["etcd", "guard", "netshoot"];

/// The longest name whose Pods, Services and revision labels all fit 63 characters.
pub(crate) const LONGEST_NAME: usize = 52;

pub(crate) const NAME_LENGTH: Told = (
    "self.metadata.name.size() <= 52",
    "metadata.name is too long: use at most 52 characters, because the names of Pods and Services are made from it and a DNS \
     label has at most 63",
);
pub(crate) const NAME_CHARACTERS: Told = (
    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "metadata.name cannot be part of a DNS name: use small letters, digits and dashes, beginning with a letter and without dots",
);
pub(crate) const SIZE_RANGE: Told =
    ("self >= 0 && self <= 9", "an etcd cluster has at most 9 voting members: use one of 0, 1, 3, 5, 7, 9");
pub(crate) const SIZE_ODD: Told = (
    "self == 0 || self % 2 == 1",
    "an even size tolerates no more failures than the next smaller one: use one of 0, 1, 3, 5, 7, 9",
);
pub(crate) const VERSION: Told = (
    r"self.matches('^3\\.(5\\.(1[6-9]|[2-9][0-9]|[1-9][0-9]{2,4})|[67]\\.(0|[1-9][0-9]{0,4}))$')",
    "not a supported etcd version: write MAJOR.MINOR.PATCH as in 3.6.16, of 3.5 (3.5.16 or later), 3.6 or 3.7",
);
pub(crate) const REGISTRY: Told = (
    "self.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$')",
    "not the address of a registry: write HOST, HOST:PORT or HOST/PROJECT, without https:// and without a slash at the end",
);
pub(crate) const REPOSITORY: Told = (
    "self.matches('^[a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$')",
    "not the name of an image: write it as in etcd-development/etcd, without a tag (the tag is vVERSION; pin another image by digest)",
);
pub(crate) const DIGEST: Told =
    ("self.matches('^sha256:[0-9a-f]{64}$')", "not a digest: write sha256: and 64 hexadecimal digits");
pub(crate) const STORAGE_SIZE: Told = (
    "isQuantity(self) && quantity(self).compareTo(quantity('1Mi')) >= 0",
    "not a size for a disk: write a quantity such as 1Gi or 20Gi",
);
pub(crate) const STORAGE_SHRINK: Told = (
    "!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0",
    "a disk cannot shrink: keep the old size or a larger one; for smaller disks make a new cluster",
);
pub(crate) const STORAGE_CLASS: Told = (
    "(has(self.storageClassName) ? self.storageClassName : '') == (has(oldSelf.storageClassName) ? oldSelf.storageClassName : '')",
    "storageClassName cannot be changed: put it back; for another class make a new cluster",
);
pub(crate) const RESOURCES: Told = (
    "self.all(name, type(self[name]) == int || isQuantity(self[name]))",
    "not a quantity: write a number with a unit such as m, Ki, Mi or Gi, as in 500m or 1Gi",
);
pub(crate) const POSITIVE_QUANTITY: Told = (
    "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
    "not an amount of bytes: write a quantity above 0 such as 100Mi",
);
pub(crate) const ELECTION_RATIO: Told = (
    "(has(self.electionTimeout) ? self.electionTimeout : 1000) >= 5 * (has(self.heartbeatInterval) ? self.heartbeatInterval : 100)",
    "electionTimeout is too short: etcd wants at least five times heartbeatInterval (defaults: 1000 and 100)",
);
pub(crate) const RETENTION: Told = (
    "!has(self.autoCompactionRetention) || (has(self.autoCompactionMode) && self.autoCompactionMode == 'revision' ? \
     self.autoCompactionRetention.matches('^[0-9]+$') : self.autoCompactionRetention.matches('^([0-9]+|([0-9]+(\\\\.[0-9]+)?(h|m|s))+)$'))",
    "autoCompactionRetention does not fit autoCompactionMode: with periodic (the default) write a time span such as 1h or 30m, with \
     revision a number such as 10000",
);
pub(crate) const EXPERIMENTAL_FLAGS: Told = (
    "!self.version.startsWith('3.7.') || !has(self.etcd) || !has(self.etcd.extraArgs) || \
     self.etcd.extraArgs.all(flag, !flag.startsWith('experimental-'))",
    "etcd.extraArgs: etcd 3.7 has no experimental- flags any more: use the flag without experimental-",
);
pub(crate) const NODE_PORT: Told = (
    "!has(self.nodePort) || (has(self.type) && self.type == 'NodePort')",
    "nodePort is for type NodePort only: set service.type to NodePort or remove nodePort",
);
pub(crate) const DURATION: Told = (
    "self.matches('^([0-9]{1,9}(ms|s|m|h))+$')",
    "not a duration: write a number with ms, s, m or h, as in 90s, 5m or 1h30m",
);
/// The shortest time that a member must have been silent before another takes its place.
pub(crate) const SHORTEST_SILENCE: Duration = Duration::from_secs(10);
pub(crate) const REPLACE_AFTER: Told = (
    "!self.matches('^([0-9]{1,9}(ms|s|m|h))+$') || duration(self) >= duration('10s')",
    "too short: a member is silent for as long when it merely restarts, or its node stalls; write 10s or more",
);
pub(crate) const OWN_LABELS: Told = (
    "!has(self.labels) || ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/managed-by', \
     'etcd.etcd.io/cluster'].all(own, !(own in self.labels))",
    "labels: app.kubernetes.io/name, -/instance, -/managed-by and etcd.etcd.io/cluster are the operator's: use other names",
);
pub(crate) const OWN_ANNOTATIONS: Told = (
    "!has(self.annotations) || ['etcd.etcd.io/launch', 'etcd.etcd.io/seat', 'etcd.etcd.io/permit'].all(own, !(own in self.annotations))",
    "annotations: etcd.etcd.io/launch, -/seat and -/permit are the operator's: use other names",
);
pub(crate) const OWN_CONTAINERS: Told = (
    "!has(self.containers) || self.containers.all(container, !(container.name in ['etcd', 'guard', 'netshoot']))",
    "containers: the names etcd, guard and netshoot are the operator's: use another name",
);

/// As it stands in the schema.
pub(crate) fn rule(told: Told) -> Rule {
    told.into()
}

/// Flags that are not the names of flags.
pub(crate) fn flag_names() -> Rule {
    Rule::new("self.all(flag, flag.matches('^[A-Za-z0-9][A-Za-z0-9-]*$'))")
        .message("not the name of a flag: write it without dashes in front, letters, digits and dashes only")
}

/// A flag that a field sets: use the field.
pub(crate) fn fields_for_flags() -> impl Iterator<Item = Rule> {
    let fields = launch::MANAGED.iter().filter_map(|(flag, field)| Some((flag, (*field)?)));
    fields.map(|(flag, field)| {
        Rule::new(format!("!('{flag}' in self)"))
            .message(Message::Message(format!("{flag} has a field of its own: use etcd.{field}")))
    })
}

/// All other flags of [`launch::MANAGED`]. Named in the message one and all: to name the one that was written costs more than the
/// API server grants.
pub(crate) fn managed_flags() -> Rule {
    let flags: Vec<&str> = launch::MANAGED.iter().filter(|(_, field)| field.is_none()).map(|(flag, _)| *flag).collect();
    Rule::new(format!("['{}'].all(flag, !(flag in self))", flags.join("', '"))).message(Message::Message(format!(
        "flags that decide identity, membership, addresses or durability cannot be set, remove them: {}",
        flags.join(", ")
    )))
}

/// Of `extraArgs`.
pub(crate) fn extra_args() -> Vec<Rule> {
    [flag_names(), managed_flags()].into_iter().chain(fields_for_flags()).collect()
}
