//! One manager per cluster, and what it hears from the manifest.

use std::fs;

use etcdop_core::size::Size;
use etcdop_local::{
    binaries::VersionWish,
    home::Home,
    open::{Cluster, OpenError},
};

use crate::stand::{DEADLINE, Stand, name};

#[tokio::test(flavor = "multi_thread")]
async fn the_second_manager_is_refused_with_the_pid_of_the_first() {
    let stand = Stand::new().await;
    let first = stand.manager().await;
    assert_eq!(stand.cluster.manager_process().unwrap().unwrap().pid(), std::process::id());
    let refused = stand.cluster.manager(stand.binaries.clone()).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("PID {}", std::process::id())), "{refused}");
    drop(first);
    assert_eq!(stand.cluster.manager_process().unwrap(), None);
    stand.manager().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_heard_and_a_broken_one_changes_nothing_but_the_error() {
    let stand = Stand::new().await;
    let mut manager = stand.manager().await;
    let declared = &mut manager.declared;
    assert_eq!(declared.desired.borrow_and_update().size.get(), 1);
    stand.cluster.set_size(Size::try_from(3).unwrap()).unwrap();
    heard(&mut declared.desired).await;
    assert_eq!(declared.desired.borrow_and_update().size.get(), 3);

    let path = stand.cluster.directory().manifest();
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("size: 3", "size: 4")).unwrap();
    heard(&mut declared.error).await;
    let error = declared.error.borrow_and_update().clone().unwrap().to_string();
    assert!(error.contains("cluster.yaml:5:7: size 4 is even"), "{error}");
    assert!(!declared.desired.has_changed().unwrap());

    fs::write(&path, good.replace("size: 3", "size: 5")).unwrap();
    heard(&mut declared.desired).await;
    assert_eq!(declared.desired.borrow_and_update().size.get(), 5);
    assert!(declared.error.borrow().is_none());
}

async fn heard<T>(channel: &mut tokio::sync::watch::Receiver<T>) {
    tokio::time::timeout(DEADLINE, channel.changed()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_one_home_live_side_by_side() {
    let stand = Stand::new().await;
    let home = Home::at(stand.home.path()).unwrap();
    let wish: VersionWish = "3.6".parse().unwrap();
    let again = Cluster::create(&home, &name(), Size::try_from(1).unwrap(), &wish).unwrap_err();
    assert!(matches!(again, OpenError::Exists { .. }), "{again}");
    let missing = Cluster::open(&home, &"other".parse().unwrap()).unwrap_err().to_string();
    assert!(missing.contains("etcdop local up other"), "{missing}");
    Cluster::create(&home, &"other".parse().unwrap(), Size::try_from(3).unwrap(), &wish).unwrap();
    let names: Vec<_> = home.clusters().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["other", "stand"]);
}
