//! A CORRUPT alarm from etcd to the plan: nothing is changed any more, and the member is named.

use etcdop_core::reason::Reason;
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{MemberId, Scene, Tuning, desired, until};
use crate::driver::look;

/// Through etcd's JSON gateway: our client has no business with raising alarms.
async fn raise_corrupt(scene: &Scene, member: MemberId) {
    let address = scene.members[0].dial.client.replace("http://", "");
    let body = format!(r#"{{"action":"ACTIVATE","memberID":"{}","alarm":"CORRUPT"}}"#, member.0);
    let request = format!(
        "POST /v3/maintenance/alarm HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[rstest]
#[tokio::test]
async fn a_corrupt_member_stops_every_change_and_is_named(#[values("3.5", "3.6", "3.7")] minor: &str) {
    let scene = Scene::new(minor, 3).await;
    let mut five = desired();
    five.size = 5.try_into().unwrap();
    let planned = async || look(&*scene.stage, five.clone(), Tuning::default()).await.plan;
    until("there is something to do", async || {
        let plan = planned().await;
        if plan.act.is_some() { Ok(()) } else { Err(format!("{:?}", plan.reasons)) }
    })
    .await;

    let corrupt = scene.id(1).await;
    raise_corrupt(&scene, corrupt).await;

    let held = until("the member is named", async || {
        let plan = planned().await;
        if plan.reasons.contains(&Reason::Corrupt(corrupt)) { Ok(plan) } else { Err(format!("{plan:?}")) }
    })
    .await;
    assert_eq!((held.act, &held.reasons[..]), (None, &[Reason::Corrupt(corrupt)][..]));
    assert!(held.reasons[0].to_string().contains(&corrupt.to_string()), "{}", held.reasons[0]);
}
