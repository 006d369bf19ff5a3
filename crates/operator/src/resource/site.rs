//! What all clusters of one operator share.

/// Where the operator works.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Its own image: the guard is copied out of it.
    pub(crate) operator_image: String,
    /// DNS domain of the Kubernetes cluster, part of every member's address.
    pub(crate) cluster_domain: String,
    /// Its own namespace; unknown when it runs outside.
    pub(crate) namespace: Option<String>,
}
