//! The objects that a cluster is made of: pure functions from a checked cluster to what is applied.
