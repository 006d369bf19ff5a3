//! etcd's own users and roles. Logging in is not here: a client does it by itself (`client.rs`).

use crate::{
    answer::Answer,
    client::Client,
    error::Error,
    generated::{
        authpb::{self, UserAddOptions, permission::Type},
        etcdserverpb::{
            AuthDisableRequest, AuthEnableRequest, AuthRoleAddRequest, AuthRoleDeleteRequest, AuthRoleGetRequest,
            AuthRoleGrantPermissionRequest, AuthRoleListRequest, AuthRoleRevokePermissionRequest, AuthStatusRequest,
            AuthUserAddRequest, AuthUserChangePasswordRequest, AuthUserDeleteRequest, AuthUserGetRequest,
            AuthUserGrantRoleRequest, AuthUserListRequest, AuthUserRevokeRoleRequest, auth_client::AuthClient,
        },
    },
    kv::Keys,
};

/// Whether the cluster asks who its clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthStatus {
    /// Whether it does.
    pub enabled: bool,
    /// Counts changes of users and roles.
    pub revision: u64,
}

/// What a role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What.
    pub kind: PermissionKind,
    /// With which keys.
    pub keys: Keys,
}

/// What may be done with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionKind {
    /// Read them.
    Read,
    /// Write them.
    Write,
    /// Both.
    ReadWrite,
}

impl Client {
    /// Whether authentication is on.
    pub async fn auth_status(&self) -> Result<Answer<AuthStatus>, Error> {
        let question = AuthStatusRequest {};
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).auth_status(request).await })
            .await?;
        self.answer(got.header, AuthStatus { enabled: got.enabled, revision: got.auth_revision })
    }

    /// Turns authentication on; needs a user `root` with the role `root`.
    pub async fn auth_enable(&self) -> Result<Answer<()>, Error> {
        let question = AuthEnableRequest {};
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).auth_enable(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Turns authentication off.
    pub async fn auth_disable(&self) -> Result<Answer<()>, Error> {
        let question = AuthDisableRequest {};
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).auth_disable(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Adds a user.
    pub async fn user_add(&self, name: &str, password: &str) -> Result<Answer<()>, Error> {
        let question = AuthUserAddRequest { name: name.to_owned(), password: password.to_owned(), options: None };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_add(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Adds a user who can come by client certificate only (its common name is the user's).
    pub async fn user_add_without_password(&self, name: &str) -> Result<Answer<()>, Error> {
        let question = AuthUserAddRequest {
            name: name.to_owned(),
            password: String::new(),
            options: Some(UserAddOptions { no_password: true }),
        };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_add(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// The names of all users.
    pub async fn user_list(&self) -> Result<Answer<Vec<String>>, Error> {
        let question = AuthUserListRequest {};
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_list(request).await })
            .await?;
        self.answer(got.header, got.users)
    }

    /// The roles that a user has.
    pub async fn user_roles(&self, name: &str) -> Result<Answer<Vec<String>>, Error> {
        let question = AuthUserGetRequest { name: name.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_get(request).await })
            .await?;
        self.answer(got.header, got.roles)
    }

    /// Deletes a user.
    pub async fn user_delete(&self, name: &str) -> Result<Answer<()>, Error> {
        let question = AuthUserDeleteRequest { name: name.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_delete(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Gives a user another password. Tokens that were given out stay good.
    pub async fn user_change_password(&self, name: &str, password: &str) -> Result<Answer<()>, Error> {
        let question = AuthUserChangePasswordRequest { name: name.to_owned(), password: password.to_owned() };
        let got =
            self.call(question, |channel, request| async move {
                AuthClient::new(channel).user_change_password(request).await
            })
            .await?;
        self.answer(got.header, ())
    }

    /// Gives a user a role.
    pub async fn user_grant_role(&self, name: &str, role: &str) -> Result<Answer<()>, Error> {
        let question = AuthUserGrantRoleRequest { user: name.to_owned(), role: role.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_grant_role(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Takes a role from a user.
    pub async fn user_revoke_role(&self, name: &str, role: &str) -> Result<Answer<()>, Error> {
        let question = AuthUserRevokeRoleRequest { name: name.to_owned(), role: role.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).user_revoke_role(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Adds a role that may do nothing yet.
    pub async fn role_add(&self, name: &str) -> Result<Answer<()>, Error> {
        let question = AuthRoleAddRequest { name: name.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).role_add(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// The names of all roles.
    pub async fn role_list(&self) -> Result<Answer<Vec<String>>, Error> {
        let question = AuthRoleListRequest {};
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).role_list(request).await })
            .await?;
        self.answer(got.header, got.roles)
    }

    /// What a role may do.
    pub async fn role_permissions(&self, name: &str) -> Result<Answer<Vec<Permission>>, Error> {
        let question = AuthRoleGetRequest { role: name.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).role_get(request).await })
            .await?;
        self.answer(got.header, got.perm.into_iter().map(Permission::from).collect())
    }

    /// Deletes a role.
    pub async fn role_delete(&self, name: &str) -> Result<Answer<()>, Error> {
        let question = AuthRoleDeleteRequest { role: name.to_owned() };
        let got = self
            .call(question, |channel, request| async move { AuthClient::new(channel).role_delete(request).await })
            .await?;
        self.answer(got.header, ())
    }

    /// Lets a role do something.
    pub async fn role_grant_permission(&self, name: &str, permission: Permission) -> Result<Answer<()>, Error> {
        let question = AuthRoleGrantPermissionRequest { name: name.to_owned(), perm: Some(permission.into()) };
        let got =
            self.call(question, |channel, request| async move {
                AuthClient::new(channel).role_grant_permission(request).await
            })
            .await?;
        self.answer(got.header, ())
    }

    /// Takes back what a role may do with exactly these keys.
    pub async fn role_revoke_permission(&self, name: &str, keys: Keys) -> Result<Answer<()>, Error> {
        let (key, range_end) = keys.into_wire();
        let question = AuthRoleRevokePermissionRequest { role: name.to_owned(), key, range_end };
        let got =
            self.call(question, |channel, request| async move {
                AuthClient::new(channel).role_revoke_permission(request).await
            })
            .await?;
        self.answer(got.header, ())
    }
}

impl From<authpb::Permission> for Permission {
    fn from(permission: authpb::Permission) -> Self {
        let kind = match permission.perm_type() {
            Type::Read => PermissionKind::Read,
            Type::Write => PermissionKind::Write,
            Type::Readwrite => PermissionKind::ReadWrite,
        };
        Self { kind, keys: Keys::from_wire(permission.key, permission.range_end) }
    }
}

impl From<Permission> for authpb::Permission {
    fn from(permission: Permission) -> Self {
        let kind = match permission.kind {
            PermissionKind::Read => Type::Read,
            PermissionKind::Write => Type::Write,
            PermissionKind::ReadWrite => Type::Readwrite,
        };
        let (key, range_end) = permission.keys.into_wire();
        Self { perm_type: kind.into(), key, range_end }
    }
}
