//! Mutual TLS: who refuses whom, and certificates that change while the client runs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use etcdop_etcd::{Client, Effect, Error, Http, Identity, Options, Put, Side, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::{AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::support::{Member, Minor, Scheme, on_every_minor, until};

/// An authority that signs certificates into a folder.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn write_ca(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.crt"));
        fs::write(&path, &self.pem).unwrap();
        path
    }

    fn write_identity(&self, folder: &Path, name: &str, hosts: &[&str]) -> Identity {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity =
            Identity { certificate: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) };
        fs::write(&identity.certificate, certificate.pem()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

/// A member that asks for client certificates, and a stranger beside its authority.
struct Ground {
    member: Member,
    folder: TempDir,
    authority: Authority,
    stranger: Authority,
}

impl Ground {
    async fn prepare(minor: Minor, hosts: &[&str], flags: &[&str]) -> Self {
        Self::beside(&mut [], minor, hosts, flags).await
    }

    /// The same in one cluster with `others`.
    async fn beside(others: &mut [Member], minor: Minor, hosts: &[&str], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, stranger) = (Authority::new("ours"), Authority::new("stranger"));
        let ca = authority.write_ca(folder.path(), "ca");
        stranger.write_ca(folder.path(), "stranger");
        let server = authority.write_identity(folder.path(), "server", hosts);
        let mut member = Member::prepare(minor, "m0", Scheme::Https)
            .with_flags(&[
                "--client-cert-auth",
                &format!("--trusted-ca-file={}", ca.display()),
                &format!("--cert-file={}", server.certificate.display()),
                &format!("--key-file={}", server.key.display()),
            ])
            .with_flags(flags);
        let peers = others.iter().map(Member::entry).chain([member.entry()]).collect::<Vec<_>>().join(",");
        member.spawn("new", &peers);
        for other in others {
            other.spawn("new", &peers);
        }
        let peer = member.peer();
        until("the member answers its peers", async || peer.version().await.map_err(|error| error.to_string())).await;
        Self { member, folder, authority, stranger }
    }

    fn tls(&self, ca: &str, identity: Option<Identity>) -> Tls {
        Tls { ca: self.folder.path().join(format!("{ca}.crt")), identity, server_name: None }
    }

    fn ours(&self) -> Tls {
        self.tls("ca", Some(self.authority.write_identity(self.folder.path(), "client", &[])))
    }

    fn client(&self, tls: Tls) -> Client {
        Client::new(self.member.endpoint(), &Options { tls: Some(tls), ..Options::default() })
    }

    fn http(&self, tls: Tls) -> Http {
        Http::new(self.member.endpoint(), &Options { tls: Some(tls), ..Options::default() })
    }

    /// Both sides of the client, until neither finds the port closed any more.
    async fn ask(&self, tls: Tls) -> [Result<(), Error>; 2] {
        let (client, http) = (self.client(tls.clone()), self.http(tls));
        until("the port is open", async || match [client.status().await.map(drop), http.livez().await.map(drop)] {
            [Err(error @ Error::Unreachable { .. }), _] | [_, Err(error @ Error::Unreachable { .. })] => {
                Err(error.to_string())
            }
            answers => Ok(answers),
        })
        .await
    }
}

fn assert_refused(answers: [Result<(), Error>; 2], side: Side) {
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::TlsRefused { by, .. } if by == side), "{error:?}");
        assert_eq!(error.effect(), Effect::NotApplied);
    }
}

#[tokio::test]
async fn both_sides_show_certificates_and_whoever_refuses_is_named() {
    on_every_minor(async |minor| {
        let ground = Ground::prepare(minor, &["127.0.0.1"], &[]).await;
        let folder = ground.folder.path();
        let strangers = ground.stranger.write_identity(folder, "strangers", &[]);

        assert_eq!(ground.ask(ground.ours()).await, [Ok(()), Ok(())]);
        assert_refused(ground.ask(ground.tls("stranger", ground.ours().identity)).await, Side::Client);
        assert_refused(ground.ask(ground.tls("ca", Some(strangers))).await, Side::Server);
        assert_refused(ground.ask(ground.tls("ca", None)).await, Side::Server);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_in_an_older_protocol_is_understood_too() {
    let ground = Ground::prepare(Minor::V3_6, &["127.0.0.1"], &["--tls-max-version=TLS1.2"]).await;
    let strangers = ground.stranger.write_identity(ground.folder.path(), "strangers", &[]);
    assert_eq!(ground.ask(ground.ours()).await, [Ok(()), Ok(())]);
    assert_refused(ground.ask(ground.tls("ca", Some(strangers))).await, Side::Server);
}

#[tokio::test]
async fn the_name_in_the_members_certificate_is_verified() {
    let ground = Ground::prepare(Minor::V3_6, &["etcd-0.example"], &[]).await;
    assert_refused(ground.ask(ground.ours()).await, Side::Client);
    let named = Tls { server_name: Some("etcd-0.example".to_owned()), ..ground.ours() };
    assert_eq!(ground.ask(named).await, [Ok(()), Ok(())]);
}

#[tokio::test]
async fn certificates_that_change_on_disk_are_used_without_a_restart() {
    on_every_minor(async |minor| {
        let ground = Ground::prepare(minor, &["127.0.0.1"], &[]).await;
        let folder = ground.folder.path();
        let tls = ground.tls("ca", Some(ground.stranger.write_identity(folder, "client", &[])));
        assert_refused(ground.ask(tls.clone()).await, Side::Server);
        let (client, http) = (ground.client(tls.clone()), ground.http(tls));
        assert_refused([client.status().await.map(drop), http.livez().await.map(drop)], Side::Server);

        ground.authority.write_identity(folder, "client", &[]);

        assert_eq!(client.status().await.map(drop), Ok(()));
        assert_eq!(http.livez().await.map(drop), Ok(()));
    })
    .await;
}

#[tokio::test]
async fn a_connected_client_goes_over_to_another_authority_with_its_member() {
    on_every_minor(async |minor| {
        let mut ground = Ground::prepare(minor, &["127.0.0.1"], &[]).await;
        let (tls, folder) = (ground.ours(), ground.folder.path());
        let (old, next) = (tempfile::tempdir().unwrap(), &ground.stranger);
        for name in ["ca.crt", "client.crt", "client.key"] {
            fs::copy(folder.join(name), old.path().join(name)).unwrap();
        }
        let (client, http) = (ground.client(tls.clone()), ground.http(tls));
        until("it serves", async || client.put(Put::new("k", "1")).await.map_err(|error| error.to_string())).await;
        http.livez().await.unwrap();

        next.write_ca(folder, "ca");
        next.write_identity(folder, "server", &["127.0.0.1"]);
        next.write_identity(folder, "client", &[]);
        ground.member.kill();
        ground.member.start();

        until("the old clients reach it", async || match client.put(Put::new("k", "2")).await {
            Err(error @ (Error::Unreachable { .. } | Error::Unavailable { .. } | Error::DeadlineExceeded { .. })) => {
                Err(error.to_string())
            }
            answer => Ok(answer.unwrap()),
        })
        .await;
        http.livez().await.unwrap();
        let identity = Identity { certificate: old.path().join("client.crt"), key: old.path().join("client.key") };
        let behind = Tls { ca: old.path().join("ca.crt"), identity: Some(identity), server_name: None };
        assert_refused(ground.ask(behind).await, Side::Client);
    })
    .await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.write_ca(folder.path(), "ca");
    let mine = authority.write_identity(folder.path(), "mine", &[]);
    let other = authority.write_identity(folder.path(), "other", &[]);
    fs::write(folder.path().join("empty.crt"), "").unwrap();
    let with = |ca: &Path, identity| Tls { ca: ca.to_owned(), identity, server_name: None };
    for (tls, file) in [
        (with(&folder.path().join("missing.crt"), None), "missing.crt"),
        (with(&folder.path().join("empty.crt"), None), "empty.crt"),
        (with(&ca, Some(Identity { key: other.key, ..mine })), "mine.crt"),
    ] {
        let options = Options { tls: Some(tls), ..Options::default() };
        let error = Client::new("https://127.0.0.1:1".parse().unwrap(), &options).status().await.unwrap_err();
        assert!(matches!(&error, Error::TlsSetup { reason } if reason.contains(file)), "{error:?}");
    }
    let bare = Client::new("https://127.0.0.1:1".parse().unwrap(), &Options::default()).status().await;
    assert!(matches!(bare, Err(Error::TlsSetup { .. })), "{bare:?}");
}

/// Passes everything on between a client and a member until it is told to cut in.
struct Between {
    port: u16,
    cut_in: Arc<Notify>,
}

impl Between {
    async fn stand(member: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut_in = Arc::new(Notify::new());
        let cut = Arc::clone(&cut_in);
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut member = TcpStream::connect(member).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut member) => {}
                () = cut.notified() => {}
            }
            // A record that nobody encrypted: TLS answers with an alert and hangs up.
            let mut record = vec![23, 3, 3, 0, 32];
            record.resize(5 + 32, 0);
            member.write_all(&record).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut member).await;
        });
        Self { port, cut_in }
    }
}

#[tokio::test]
async fn an_alert_on_a_connection_that_was_trusted_says_nothing_about_the_write_in_flight() {
    on_every_minor(async |minor| {
        let mut others = [Member::prepare(minor, "m1", Scheme::Http)];
        let ground = Ground::beside(&mut others, minor, &["127.0.0.1"], &[]).await;
        let between = Between::stand(ground.member.endpoint().to_string().replace("https://", "")).await;
        let options = Options { tls: Some(ground.ours()), ..Options::default() };
        let client = Client::new(format!("https://127.0.0.1:{}", between.port).parse().unwrap(), &options);
        until("it serves", async || ground.client(ground.ours()).status().await.map_err(|error| error.to_string()))
            .await;
        client.put(Put::new("k", "1")).await.unwrap();
        // Nobody is left to agree, so the write waits.
        others[0].freeze();
        let write = tokio::spawn(async move { client.put(Put::new("k", "2")).await });
        let http = ground.http(ground.ours());
        until("the write is on its way", async || {
            let metrics = http.metrics().await.map_err(|error| error.to_string())?;
            let pending = metrics.value("etcd_server_proposals_pending");
            if pending.is_some_and(|pending| pending > 0.0) { Ok(()) } else { Err(format!("{pending:?} pending")) }
        })
        .await;

        between.cut_in.notify_one();

        let lost = write.await.unwrap().unwrap_err();
        assert!(matches!(&lost, Error::Unavailable { message } if message.contains("BadRecordMac")), "{lost:?}");
        assert_eq!(lost.effect(), Effect::Unknown);
    })
    .await;
}
