//! What went wrong, and whether the change may have happened all the same.
//!
//! gRPC codes do not answer that: etcd says `Unavailable` both for "refused by the health check before anything was proposed" and for
//! "proposed, then the leader went away". The text decides, and the texts are part of etcd's API (api/v3rpc/rpctypes/error.go,
//! the same in 3.5, 3.6 and 3.7). What this table does not know is *unknown*.

use std::time::Duration;

use tonic::Code;

use crate::id::ClusterId;

/// Whether a call that failed changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It definitely did not.
    NotApplied,
    /// It may have, or may yet: look before doing it again. (Of a read: it had no effect anyway.)
    Unknown,
}

/// One end of a TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// We: the member's certificate did not convince us.
    Client,
    /// The member: our certificate did not convince it, or we showed none.
    Server,
}

macro_rules! errors {
    ($(
        $(#[doc = $doc:literal])+
        $effect:ident $variant:ident $(($code:ident))? = $text:literal
    ),+ $(,)?) => {
        /// Why a call failed.
        ///
        /// The variants without fields are etcd's own errors, displayed in etcd's words.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Error {
            $($(#[doc = $doc])+ #[error($text)] $variant,)+

            /// No connection could be made; nothing was sent.
            #[error("cannot connect to {endpoint}: {reason}")]
            Unreachable {
                /// Which member.
                endpoint: String,
                /// What the system said.
                reason: String,
            },
            /// TLS failed because one side does not trust the other; nothing was sent, or nothing of it was read.
            #[error("{}: {reason}", match by {
                Side::Client => "we refused the member's certificate",
                Side::Server => "the member refused our certificate",
            })]
            TlsRefused {
                /// Who did not trust.
                by: Side,
                /// What it said.
                reason: String,
            },
            /// Our own TLS files cannot be used.
            #[error("TLS cannot be set up: {reason}")]
            TlsSetup {
                /// Which file, and why.
                reason: String,
            },
            /// No answer within the call's deadline.
            #[error("no answer within {after:?}")]
            DeadlineExceeded {
                /// The deadline.
                after: Duration,
            },
            /// A stream brought nothing for so long: the member is frozen, cut off or overwhelmed.
            #[error("the stream brought nothing for {after:?}")]
            NoProgress {
                /// The progress timeout.
                after: Duration,
            },
            /// The connection broke, or the member is going down.
            #[error("the member became unavailable: {message}")]
            Unavailable {
                /// What broke.
                message: String,
            },
            /// etcd waited for the rest of the cluster in vain.
            #[error("{message}")]
            TimedOut {
                /// etcd's words; they say what it waited for.
                message: String,
            },
            /// The answer comes from a cluster that we did not mean. If it was a change, it was made *there*.
            #[error("the answer comes from cluster {got}, not from {expected}")]
            WrongCluster {
                /// The cluster that we mean.
                expected: ClusterId,
                /// The cluster that answered.
                got: ClusterId,
            },
            /// An answer that makes no sense.
            #[error("the answer makes no sense: {reason}")]
            InvalidAnswer {
                /// What is wrong with it.
                reason: String,
            },
            /// The revision is compacted away.
            #[error("mvcc: required revision has been compacted")]
            Compacted {
                /// The oldest revision that is left, where etcd says so (watch).
                oldest: Option<i64>,
            },
            /// The snapshot's own checksum does not fit: it was cut short or changed on the way.
            #[error("the snapshot is damaged: its checksum is {found}, it should be {expected}")]
            SnapshotDamaged {
                /// What the trailer says.
                expected: String,
                /// What came.
                found: String,
            },
            /// The snapshot could not be written to where the caller wants it.
            #[error("the snapshot cannot be written: {reason}")]
            SnapshotSink {
                /// What the writer said.
                reason: String,
            },
            /// etcd does not understand the request.
            #[error("{message}")]
            InvalidArgument {
                /// etcd's words.
                message: String,
            },
            /// The cluster is in no state for the request.
            #[error("{message}")]
            FailedPrecondition {
                /// etcd's words.
                message: String,
            },
            /// The HTTP side answered with a status that is no answer to what was asked.
            #[error("HTTP status {status}: {body}")]
            HttpStatus {
                /// The status code.
                status: u16,
                /// The beginning of the body.
                body: String,
            },
            /// Something this table does not know.
            #[error("{code:?}: {message}")]
            Other {
                /// The gRPC code.
                code: Code,
                /// etcd's words.
                message: String,
            },
        }

        /// etcd's errors that have one text each.
        const NAMED: &[(&str, Error)] = &[$(($text, Error::$variant)),+];

        impl Error {
            /// Whether the call may have changed anything all the same.
            pub fn effect(&self) -> Effect {
                match self {
                    $(Self::$variant => Effect::$effect,)+
                    Self::Unreachable { .. }
                    | Self::TlsRefused { .. }
                    | Self::TlsSetup { .. }
                    | Self::Compacted { .. }
                    | Self::SnapshotDamaged { .. }
                    | Self::SnapshotSink { .. }
                    | Self::InvalidArgument { .. }
                    | Self::FailedPrecondition { .. } => Effect::NotApplied,
                    Self::DeadlineExceeded { .. }
                    | Self::NoProgress { .. }
                    | Self::Unavailable { .. }
                    | Self::TimedOut { .. }
                    | Self::WrongCluster { .. }
                    | Self::InvalidAnswer { .. }
                    | Self::HttpStatus { .. }
                    | Self::Other { .. } => Effect::Unknown,
                }
            }
        }
    };
}

errors! {
    /// No member has this ID, or it was removed. On a removal: already done.
    NotApplied MemberNotFound = "member not found",
    /// A member with this ID is there.
    NotApplied MemberExists = "member ID already exist",
    /// A member has one of these peer URLs. On an add: already done, perhaps by us.
    NotApplied PeerUrlExists = "Peer URLs already exists",
    /// The peer URLs are none.
    NotApplied BadPeerUrls = "given member URLs are invalid",
    /// As many learners as `--max-learners` allows are there.
    NotApplied TooManyLearners = "too many learner members in cluster",
    /// The learner's log is not yet within 90 % of the leader's.
    NotApplied LearnerNotReady = "can only promote a learner member which is in sync with leader",
    /// The member votes already. Unknown, because a follower passes a promotion on and tries again: its first try may have done it.
    Unknown NotALearner = "can only promote a learner member",
    /// The member that was asked is not connected to the voters the change needs, or not for 5 s yet.
    NotApplied UnhealthyCluster = "unhealthy cluster",
    /// Too few members ever published themselves for this change.
    NotApplied NotEnoughStartedMembers = "re-configuration failed due to not enough started members",
    /// The member serves no such call while it is a learner.
    NotApplied NotSupportedForLearner = "rpc not supported for learner",
    /// There is no leader. Unknown, because a promotion that was passed on ends like this too.
    Unknown NoLeader = "no leader",
    /// Only the leader can do this.
    NotApplied NotLeader = "not leader",
    /// The leader changed while the call was under way.
    Unknown LeaderChanged = "leader changed",
    /// No such voter to hand leadership to.
    NotApplied BadLeaderTransferee = "bad leader transferee",
    /// The member is stopping.
    Unknown Stopped = "server stopped",
    /// The database is at its quota: nothing is written until space is won and the alarm is disarmed.
    NotApplied NoSpace = "mvcc: database space exceeded",
    /// Members' data differ: nothing is written.
    NotApplied Corrupt = "corrupt cluster",
    /// More requests are under way than etcd takes.
    NotApplied TooManyRequests = "too many requests",
    /// The request is larger than `--max-request-bytes`.
    NotApplied RequestTooLarge = "request is too large",
    /// The revision is not there yet.
    NotApplied FutureRevision = "mvcc: required revision is a future revision",
    /// No such lease, or it ran out.
    NotApplied LeaseNotFound = "requested lease not found",
    /// A lease with this ID is there.
    NotApplied LeaseExists = "lease already exists",
    /// The time to live is beyond what etcd takes.
    NotApplied LeaseTtlTooLarge = "too large lease TTL",
    /// Authentication is on, and the call came without a user.
    NotApplied AuthRequired = "user name is empty",
    /// Wrong name or password.
    NotApplied AuthFailed = "authentication failed, invalid user ID or password",
    /// The user may not do this.
    NotApplied PermissionDenied = "permission denied",
    /// Authentication is off.
    NotApplied AuthNotEnabled = "authentication is not enabled",
    /// The token is unknown to this member: it ran out, or the member restarted.
    NotApplied AuthTokenInvalid = "invalid auth token",
    /// Users or roles changed since the token was given.
    NotApplied AuthTokenOutdated = "revision of auth store is old",
    /// Authentication cannot be turned on without the user `root`.
    NotApplied RootUserMissing = "root user does not exist",
    /// Authentication cannot be turned on while `root` lacks the role `root`.
    NotApplied RootRoleMissing = "root user does not have root role",
    /// `root` cannot lose its role, nor be deleted, while authentication is on.
    NotApplied InvalidAuthManagement = "invalid auth management",
    /// A user of this name is there.
    NotApplied UserExists = "user name already exists",
    /// No such user.
    NotApplied UserNotFound = "user name not found",
    /// A role of this name is there.
    NotApplied RoleExists = "role name already exists",
    /// No such role.
    NotApplied RoleNotFound = "role name not found",
    /// The user does not have the role.
    NotApplied RoleNotGranted = "role is not granted to the user",
    /// The role does not have the permission.
    NotApplied PermissionNotGranted = "permission is not granted to the role",
    /// A downgrade is under way.
    NotApplied DowngradeInProgress = "cluster has a downgrade job in progress",
    /// No downgrade is under way.
    NotApplied NoDowngradeInProgress = "no inflight downgrade job",
    /// etcd goes down one minor version at a time.
    NotApplied InvalidDowngradeTarget = "invalid downgrade target version",
    /// The cluster's version is not decided yet.
    NotApplied ClusterVersionUnavailable = "cluster version not found during downgrade",
    /// The cluster's version is too old for the call.
    NotApplied NotCapable = "not capable",
    /// The member does not know the call at all.
    NotApplied Unimplemented = "the member does not know this call",
}

impl Error {
    /// Every error that etcd names in words of its own: the variants without fields.
    pub fn named() -> impl Iterator<Item = &'static Self> {
        NAMED.iter().map(|(_, error)| error)
    }

    /// The error for people: etcd's own words where it had some.
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// Reads what a call brought back instead of an answer.
    pub(crate) fn from_status(status: &tonic::Status) -> Self {
        let mut cause = std::error::Error::source(status);
        while let Some(error) = cause {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return ours.clone();
            }
            if let Some(broken) = error.downcast_ref::<hyper::Error>() {
                return Self::Unavailable { message: chain(broken) };
            }
            cause = error.source();
        }
        Self::from_code(status.code(), status.message())
    }

    /// etcd's error from a watch's reason for its end: a text, sometimes in the form that Go prints a gRPC status in.
    pub(crate) fn from_text(text: &str) -> Self {
        Self::from_code(Code::Unknown, text.split_once(" desc = ").map_or(text, |(_, message)| message))
    }

    fn from_code(code: Code, message: &str) -> Self {
        let text = message.strip_prefix("etcdserver: ").unwrap_or(message);
        if let Some((_, named)) = NAMED.iter().find(|(known, _)| *known == text) {
            return named.clone();
        }
        let message = text.to_owned();
        if text.starts_with("request timed out") {
            return Self::TimedOut { message };
        }
        match code {
            Code::OutOfRange if text.ends_with("has been compacted") => Self::Compacted { oldest: None },
            // Its own: ours is not sent along.
            Code::DeadlineExceeded => Self::TimedOut { message },
            Code::Unavailable => Self::Unavailable { message },
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument { message },
            Code::FailedPrecondition => Self::FailedPrecondition { message },
            Code::PermissionDenied => Self::PermissionDenied,
            Code::Unauthenticated => Self::AuthTokenInvalid,
            Code::Unimplemented => Self::Unimplemented,
            _ => Self::Other { code, message },
        }
    }
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        // Many wrappers print their cause themselves.
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
