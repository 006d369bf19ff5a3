//! The one place where a resource is checked and turned into what the operator works with. Each error names the field and what
//! to write instead; the same words as admission's.

mod options;
mod pod;

use std::{collections::BTreeMap, time::Duration};

use etcdop_core::{
    desired::{Desired, Maintenance, Patience, Recovery},
    launch::Template,
    size::Size,
    version::EtcdVersion,
};
use k8s_openapi::api::{core::v1::ResourceRequirements, networking::v1::NetworkPolicyPeer};

use crate::{
    EtcdCluster, Invalid, PullPolicy, Quantity, ServiceType, WhenDeleted, WhenScaled,
    cluster::{ImageSpec, ServiceSpec, StorageSpec},
    rules,
};

pub use pod::{DEFAULT_USER, PodExtras};

/// A cluster whose declaration is right.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`: counts edits of the spec.
    pub generation: i64,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// What the planner is told; `template.rendering` is empty.
    pub desired: Desired,
    /// Where etcd's image comes from.
    pub image: Image,
    /// The members' disks.
    pub storage: Storage,
    /// Of the container etcd.
    pub resources: ResourceRequirements,
    /// What is added to the Pods.
    pub pod: PodExtras,
    /// How clients reach it.
    pub exposure: Exposure,
    /// Clients that a NetworkPolicy lets in (empty: those of the namespace); without one everybody is.
    pub network_policy: Option<Vec<NetworkPolicyPeer>>,
}

/// Whether the operator may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It keeps the cluster as declared.
    Managed,
    /// It reports only.
    Paused,
}

/// Where etcd's image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    repository: String,
    digest: Option<String>,
    /// When it is pulled.
    pub pull_policy: PullPolicy,
    /// Secrets with credentials.
    pub pull_secrets: Vec<String>,
}

impl Image {
    /// The image that holds this version.
    pub fn reference(&self, version: &EtcdVersion) -> String {
        match &self.digest {
            Some(digest) => format!("{}@{digest}", self.repository),
            None => format!("{}:v{version}", self.repository),
        }
    }
}

/// The members' disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Of each.
    pub size: Quantity,
    /// The StorageClass; the cluster's default when unset.
    pub class: Option<String>,
    /// When the resource is deleted.
    pub when_deleted: WhenDeleted,
    /// When its member was removed.
    pub when_scaled: WhenScaled,
}

/// The Services for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// To whom.
    pub kind: ServiceType,
    /// With type NodePort.
    pub node_port: Option<u16>,
    /// Of the Services for clients.
    pub annotations: BTreeMap<String, String>,
}

impl EtcdCluster {
    /// Checks everything that can be wrong with the resource by itself.
    ///
    /// # Errors
    /// The first field that is wrong, and what to write instead.
    pub fn checked(&self) -> Result<Cluster, Invalid> {
        let spec = &self.spec;
        let unset = |field: &str| Invalid::new(field, "not set: this is no resource that an API server keeps");
        let name = name(self.metadata.name.as_deref().ok_or_else(|| unset("metadata.name"))?)?;
        let size = u64::try_from(spec.size).map_err(|_| Invalid::new("spec.size", rules::SIZE_RANGE.1))?;
        let size = Size::try_from(size).map_err(|error| Invalid::new("spec.size", error.to_string()))?;
        let version = version(&spec.version)?;
        let options = options::options(&spec.etcd, &version)?;
        let network_policy = spec.network_policy.as_ref().map(|policy| {
            let read =
                |(at, client): (usize, &crate::Fragment)| client.read(&format!("spec.networkPolicy.clients[{at}]"));
            policy.clients.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()
        });
        Ok(Cluster {
            name,
            namespace: self.metadata.namespace.clone().ok_or_else(|| unset("metadata.namespace"))?,
            uid: self.metadata.uid.clone().ok_or_else(|| unset("metadata.uid"))?,
            generation: self.metadata.generation.unwrap_or_default(),
            mode: if spec.paused { Mode::Paused } else { Mode::Managed },
            desired: Desired {
                size,
                template: Template::new(version, options),
                recovery: Recovery { replace_after: replace_after(&spec.recovery.replace_after)? },
                maintenance: maintenance(&spec.maintenance)?,
                patience: Patience::default(),
            },
            image: image(&spec.image)?,
            storage: storage(&spec.storage)?,
            resources: pod::resources(&spec.resources)?,
            pod: pod::extras(&spec.pod_template, spec.debug_sidecar.as_ref())?,
            exposure: exposure(&spec.service)?,
            network_policy: network_policy.transpose()?,
        })
    }
}

fn name(name: &str) -> Result<String, Invalid> {
    if name.len() > rules::LONGEST_NAME {
        return Err(Invalid::new("metadata.name", rules::NAME_LENGTH.1));
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = name.bytes().all(inner) && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    if fits { Ok(name.to_owned()) } else { Err(Invalid::new("metadata.name", rules::NAME_CHARACTERS.1)) }
}

fn version(text: &str) -> Result<EtcdVersion, Invalid> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let version = text.parse::<EtcdVersion>().and_then(EtcdVersion::supported).ok().filter(|_| plain);
    version.ok_or_else(|| Invalid::new("spec.version", format!("`{text}` is {}", rules::VERSION.1)))
}

fn replace_after(text: &str) -> Result<Duration, Invalid> {
    let field = "spec.recovery.replaceAfter";
    let silence = duration(field, text)?;
    if silence < rules::SHORTEST_SILENCE {
        return Err(Invalid::new(field, format!("`{text}` is {}", rules::REPLACE_AFTER.1)));
    }
    Ok(silence)
}

fn duration(field: &str, text: &str) -> Result<Duration, Invalid> {
    let wrong = || Invalid::new(field, format!("`{text}` is {}", rules::DURATION.1));
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(unit);
        let number: u64 = number.parse().ok().filter(|_| unit <= 9).ok_or_else(wrong)?;
        let next = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(next);
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_mins(number),
            "h" => Duration::from_hours(number),
            _ => return Err(wrong()),
        };
        sum = sum.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(sum) }
}

fn maintenance(spec: &crate::MaintenanceSpec) -> Result<Maintenance, Invalid> {
    let bytes = |quantity: &Quantity| {
        let checked = quantity.checked("spec.maintenance.defragmentAbove")?;
        let bytes = checked.value().filter(|bytes| *bytes > 0);
        bytes.ok_or_else(|| Invalid::new("spec.maintenance.defragmentAbove", rules::POSITIVE_QUANTITY.1))
    };
    Ok(Maintenance {
        compact_on_no_space: match spec.compact_on_no_space {
            crate::CompactOnNoSpace::Never => etcdop_core::desired::CompactOnNoSpace::Never,
            crate::CompactOnNoSpace::ToLatest => etcdop_core::desired::CompactOnNoSpace::ToLatest,
        },
        defragment_above: spec.defragment_above.as_ref().map(bytes).transpose()?,
    })
}

fn image(spec: &ImageSpec) -> Result<Image, Invalid> {
    if !is_registry(&spec.registry) {
        return Err(Invalid::new("spec.image.registry", format!("`{}` is {}", spec.registry, rules::REGISTRY.1)));
    }
    if !is_repository(&spec.repository) {
        return Err(Invalid::new("spec.image.repository", format!("`{}` is {}", spec.repository, rules::REPOSITORY.1)));
    }
    let is_digest = |text: &String| {
        let digits = text.strip_prefix("sha256:");
        digits.is_some_and(|d| d.len() == 64 && d.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
    };
    if let Some(wrong) = spec.digest.as_ref().filter(|digest| !is_digest(digest)) {
        return Err(Invalid::new("spec.image.digest", format!("`{wrong}` is {}", rules::DIGEST.1)));
    }
    Ok(Image {
        repository: format!("{}/{}", spec.registry, spec.repository),
        digest: spec.digest.clone(),
        pull_policy: spec.pull_policy,
        pull_secrets: spec.pull_secrets.clone(),
    })
}

/// `HOST`, `HOST:PORT`, either with a path.
fn is_registry(text: &str) -> bool {
    let (address, path) = text.split_once('/').map_or((text, None), |(address, path)| (address, Some(path)));
    let (host, port) = address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
    let port_ok = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    is_word(&host.to_ascii_lowercase(), ".-") && port_ok && path.is_none_or(is_repository)
}

fn is_repository(text: &str) -> bool {
    text.split('/').all(|part| is_word(part, "._-"))
}

/// Small letters and digits, with these characters between them.
fn is_word(text: &str, between: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|c| plain(c) || between.contains(c))
}

fn storage(spec: &StorageSpec) -> Result<Storage, Invalid> {
    let size = spec.size.checked("spec.storage.size")?;
    if size.value().is_none_or(|bytes| bytes < 1 << 20) {
        return Err(Invalid::new("spec.storage.size", format!("`{size}` is {}", rules::STORAGE_SIZE.1)));
    }
    Ok(Storage {
        size,
        class: spec.storage_class_name.clone(),
        when_deleted: spec.when_deleted,
        when_scaled: spec.when_scaled,
    })
}

fn exposure(spec: &ServiceSpec) -> Result<Exposure, Invalid> {
    let node_port = match spec.node_port {
        None => None,
        Some(_) if spec.kind != ServiceType::NodePort => {
            return Err(Invalid::new("spec.service.nodePort", rules::NODE_PORT.1));
        }
        Some(port) => {
            let wrong =
                || Invalid::new("spec.service.nodePort", format!("{port} is no port: use 1 to 65535, as in 30379"));
            Some(u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(wrong)?)
        }
    };
    Ok(Exposure { kind: spec.kind, node_port, annotations: spec.annotations.clone() })
}

impl Quantity {
    pub(crate) fn checked(&self, field: &str) -> Result<Self, Invalid> {
        self.as_str().parse().map_err(|error: crate::BadQuantity| Invalid::new(field, error.to_string()))
    }
}
