//! The etcds: as much of the gRPC API and of the HTTP side as the operator asks of clusters that need nothing.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use prost::Message;
use tokio::net::TcpListener;

use super::world::{Double, World, id};
use crate::subject::VERSION;

const CLUSTER_VERSION: &str = "3.6.0";
const TERM: u64 = 2;
const INDEX: u64 = 100;
const REVISION: i64 = 10;
const DB_SIZE: i64 = 20_480;

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(uint64, tag = "1")]
    cluster_id: u64,
    #[prost(uint64, tag = "2")]
    member_id: u64,
    #[prost(int64, tag = "3")]
    revision: i64,
    #[prost(uint64, tag = "4")]
    raft_term: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Member {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    peer_urls: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    client_urls: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct MemberList {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(message, repeated, tag = "2")]
    members: Vec<Member>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(string, tag = "2")]
    version: String,
    #[prost(int64, tag = "3")]
    db_size: i64,
    #[prost(uint64, tag = "4")]
    leader: u64,
    #[prost(uint64, tag = "5")]
    raft_index: u64,
    #[prost(uint64, tag = "6")]
    raft_term: u64,
    #[prost(uint64, tag = "7")]
    raft_applied_index: u64,
    #[prost(int64, tag = "9")]
    db_size_in_use: i64,
    #[prost(string, tag = "11")]
    storage_version: String,
}

/// What a call without an answer of its own is answered.
#[derive(Clone, PartialEq, Message)]
struct Plain {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

/// Answers for all of them at one port.
pub(super) async fn serve(listener: TcpListener, world: Arc<World>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(IpAddr::V4(here)) = stream.local_addr().map(|address| address.ip()) else { continue };
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let answers = service_fn(move |request| answer(Arc::clone(&world), here, request));
            // Whoever closes a connection had what it wanted.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answers).await;
        });
    }
}

async fn answer(world: Arc<World>, here: Ipv4Addr, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    // All of it is read before it is answered, as a server of gRPC does.
    let _ = body.collect().await;
    let double = world.at(here);
    let cluster = double.as_ref().and_then(Cluster::of);
    Ok(match (head.uri.path(), cluster) {
        (_, None) => status(StatusCode::SERVICE_UNAVAILABLE),
        ("/etcdserverpb.Cluster/MemberList", Some(cluster)) => grpc(&cluster.members()),
        ("/etcdserverpb.Maintenance/Status", Some(cluster)) => grpc(&cluster.status()),
        ("/etcdserverpb.Maintenance/Alarm" | "/etcdserverpb.KV/Range", Some(cluster)) => {
            grpc(&Plain { header: Some(cluster.header()) })
        }
        ("/version", Some(_)) => page(format!(
            r#"{{"etcdserver":"{VERSION}","etcdcluster":"{CLUSTER_VERSION}","storage":"{CLUSTER_VERSION}"}}"#
        )),
        ("/health", Some(_)) => page(r#"{"health":"true","reason":""}"#.to_owned()),
        (_, Some(_)) => status(StatusCode::NOT_FOUND),
    })
}

/// A cluster as one of its members sees it.
struct Cluster {
    own: u64,
    peers: Vec<(String, String)>,
}

impl Cluster {
    fn of(double: &Double) -> Option<Self> {
        let peers = double.members()?;
        let (_, url) = peers.iter().find(|(name, _)| *name == double.pod)?;
        Some(Self { own: id(url), peers })
    }

    fn header(&self) -> Header {
        let urls: Vec<&str> = self.peers.iter().map(|(_, url)| url.as_str()).collect();
        Header { cluster_id: id(&urls.join(",")), member_id: self.own, revision: REVISION, raft_term: TERM }
    }

    fn members(&self) -> MemberList {
        let members = self.peers.iter().map(|(name, url)| Member {
            id: id(url),
            name: name.clone(),
            peer_urls: vec![url.clone()],
            client_urls: vec![url.replace(":2380", ":2379")],
        });
        MemberList { header: Some(self.header()), members: members.collect() }
    }

    fn status(&self) -> Status {
        Status {
            header: Some(self.header()),
            version: VERSION.to_owned(),
            db_size: DB_SIZE,
            leader: self.peers.first().map_or(0, |(_, url)| id(url)),
            raft_index: INDEX,
            raft_term: TERM,
            raft_applied_index: INDEX,
            db_size_in_use: DB_SIZE,
            storage_version: CLUSTER_VERSION.to_owned(),
        }
    }
}

fn grpc(message: &impl Message) -> Response<Body> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap_or(0));
    frame.put_slice(&message.encode_to_vec());
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(frame.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn page(text: String) -> Response<Body> {
    Response::new(Full::from(text).boxed_unsync())
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = page(String::new());
    *response.status_mut() = code;
    response
}
