//! The command line and its environment variables.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::platform::reach::Way;

/// Keeps etcd clusters on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "etcd-operator", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the operator, inside a cluster or outside of it
    Run(Box<Run>),
    /// Print the definition of the resource `EtcdCluster` as YAML
    Crd,
    /// Print everything that the operator needs in a cluster as YAML
    Manifests(Manifests),
    /// Copy the guard to a file: what the Pods' init container does
    Guard(Guard),
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Namespaces to keep clusters in, separated by commas; all when left out
    #[arg(long, env = "ETCD_OPERATOR_NAMESPACE", value_delimiter = ',', value_name = "NAMESPACES")]
    pub(crate) namespace: Vec<String>,
    /// Clusters that are looked at at the same moment at most; the others wait for their turn
    #[arg(long, env = "ETCD_OPERATOR_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) concurrency: u16,
    /// Where /metrics is served; `none` turns it off
    #[arg(long, env = "ETCD_OPERATOR_METRICS_ADDR", default_value = "0.0.0.0:8080", value_parser = address, value_name = "IP:PORT")]
    pub(crate) metrics_addr: Address,
    /// Where /healthz and /readyz are served; `none` turns it off
    #[arg(long, env = "ETCD_OPERATOR_HEALTH_ADDR", default_value = "0.0.0.0:8081", value_parser = address, value_name = "IP:PORT")]
    pub(crate) health_addr: Address,
    /// Act only while holding a lease, so that several operators can stand by
    #[arg(long, env = "ETCD_OPERATOR_LEADER_ELECT")]
    pub(crate) leader_elect: bool,
    /// Namespace of the lease; the operator's own when left out
    #[arg(long, env = "ETCD_OPERATOR_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub(crate) lease_namespace: Option<String>,
    /// How log lines are written
    #[arg(long, env = "ETCD_OPERATOR_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// What is logged: a level, or a filter such as `info,etcdop_engine=debug`
    #[arg(long, env = "ETCD_OPERATOR_LOG", default_value = "info,kube_client=off", value_name = "FILTER")]
    pub(crate) log: String,
    /// How Pods are reached; directly inside a cluster, forwarded outside when left out
    #[arg(long, env = "ETCD_OPERATOR_REACH", value_enum)]
    pub(crate) reach: Option<Way>,
    /// Image of this operator: the Pods' init container copies the guard out of it
    #[arg(long, env = "ETCD_OPERATOR_IMAGE", default_value = crate::DEFAULT_IMAGE, value_name = "IMAGE")]
    pub(crate) image: String,
    /// DNS domain of the Kubernetes cluster
    #[arg(long, env = "ETCD_OPERATOR_CLUSTER_DOMAIN", default_value = "cluster.local", value_name = "DOMAIN")]
    pub(crate) cluster_domain: String,
    /// Where snapshots from before upgrades to another minor version are kept
    #[arg(
        long,
        env = "ETCD_OPERATOR_SNAPSHOT_DIR",
        default_value = "/var/lib/etcd-operator/snapshots",
        value_name = "DIR"
    )]
    pub(crate) snapshot_dir: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Manifests {
    /// Image of the operator
    #[arg(long, default_value = crate::DEFAULT_IMAGE, value_name = "IMAGE")]
    pub(crate) image: String,
    /// Namespace of the operator
    #[arg(long, default_value = "etcd-operator-system", value_name = "NAMESPACE")]
    pub(crate) namespace: String,
}

#[derive(Args, Debug)]
pub(crate) struct Guard {
    /// The file to write
    #[arg(value_name = "PATH")]
    pub(crate) to: PathBuf,
}

/// Where something is served, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    At(SocketAddr),
    Off,
}

fn address(text: &str) -> Result<Address, String> {
    if text == "none" {
        return Ok(Address::Off);
    }
    let spelled = text.strip_prefix(':').map_or_else(|| text.to_owned(), |port| format!("0.0.0.0:{port}"));
    spelled.parse().map(Address::At).map_err(|_| "use IP:PORT as in 0.0.0.0:8080, :PORT, or none".to_owned())
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case("127.0.0.1:1", true)]
    #[case(":8080", true)]
    #[case("none", true)]
    #[case("localhost:1", false)]
    #[case("8080", false)]
    fn an_address_is_an_ip_and_a_port(#[case] text: &str, #[case] good: bool) {
        assert_eq!(address(text).is_ok(), good, "{text}");
    }
}
