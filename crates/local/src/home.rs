//! Where local clusters live: one directory per named cluster, all of them below one home.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use thiserror::Error;

use crate::directory::ClusterDir;

/// Longest name of a cluster: it is part of every member's name and of paths.
const LONGEST: usize = 40;

/// The name of a local cluster, and of its directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

/// What is wrong with a home or a name.
#[derive(Debug, Error)]
pub enum HomeError {
    /// Not a name that can be a directory and a part of member names.
    #[error(
        "`{0}` is not a name for a cluster: use 1 to {LONGEST} of a-z, 0-9 and `-`, with a letter or digit at both ends"
    )]
    BadName(String),
    /// No `--dir`, no `$XDG_DATA_HOME`, no `$HOME`.
    #[error("there is no place to keep clusters: neither XDG_DATA_HOME nor HOME is set, name a directory with --dir")]
    Nowhere,
    /// Cannot be listed or made absolute.
    #[error("directory {path} of local clusters cannot be read")]
    Unreadable {
        /// The home.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory that holds one directory per cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl ClusterName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = HomeError;

    fn from_str(text: &str) -> Result<Self, HomeError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = text.bytes().next().is_some_and(plain) && text.bytes().last().is_some_and(plain);
        let inside = text.bytes().all(|byte| plain(byte) || byte == b'-');
        if ends && inside && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err(HomeError::BadName(text.to_owned()))
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Home {
    /// The home that `--dir` names, or the user's own: `$XDG_DATA_HOME/etcdop/local`, or `~/.local/share/etcdop/local`.
    pub fn locate(dir: Option<&Path>) -> Result<Self, HomeError> {
        let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let own = || {
            let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local").join("share")));
            data.map(|data| data.join("etcdop").join("local")).ok_or(HomeError::Nowhere)
        };
        Self::at(&dir.map_or_else(own, |dir| Ok(dir.to_owned()))?)
    }

    /// The home in this directory, which need not exist yet.
    pub fn at(root: &Path) -> Result<Self, HomeError> {
        let unreadable = |source| HomeError::Unreadable { path: root.to_owned(), source };
        // Processes are recognised by the paths in their arguments, so one directory has one spelling.
        let root = match fs::canonicalize(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(root).map_err(unreadable)?,
            found => found.map_err(unreadable)?,
        };
        Ok(Self { root })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the cluster `name` lives, whether it exists or not.
    pub fn cluster(&self, name: &ClusterName) -> ClusterDir {
        ClusterDir::new(&self.root, name)
    }

    /// Every cluster that has a manifest here, by name.
    pub fn clusters(&self) -> Result<Vec<ClusterName>, HomeError> {
        let unreadable = |source| HomeError::Unreadable { path: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let name = name.to_str().and_then(|name| name.parse::<ClusterName>().ok());
            names.extend(name.filter(|name| self.cluster(name).manifest().exists()));
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("demo", true)]
    #[case("a-1", true)]
    #[case("0", true)]
    #[case("", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("Demo", false)]
    #[case("a.b", false)]
    #[case("../x", false)]
    #[case("a23456789012345678901234567890123456789x", true)]
    #[case("a23456789012345678901234567890123456789xx", false)]
    fn names_are_directories_and_parts_of_member_names(#[case] name: &str, #[case] good: bool) {
        assert_eq!(name.parse::<ClusterName>().is_ok(), good, "{name}");
    }

    #[test]
    fn only_directories_with_a_manifest_are_clusters() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path()).unwrap();
        for (name, manifest) in [("b", true), ("a", true), ("half", false), ("Not-Ours", true)] {
            fs::create_dir(root.path().join(name)).unwrap();
            if manifest {
                fs::write(root.path().join(name).join("cluster.yaml"), "").unwrap();
            }
        }
        let names: Vec<_> = home.clusters().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(Home::at(&root.path().join("missing")).unwrap().clusters().unwrap().is_empty());
    }
}
