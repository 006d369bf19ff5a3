use etcdop_core::record::Birth;
use rstest::rstest;

use super::{
    fixture::{declared, formed, look_at, site, unborn},
    *,
};

#[rstest]
#[case(0, "0")]
#[case(20_480, "20Ki")]
#[case(20_481, "21Ki")]
#[case(25_165_824, "24Mi")]
#[case(130 << 20, "130Mi")]
#[case(131 << 20, "140Mi")]
#[case(8 << 30, "8Gi")]
fn sizes_are_told_to_about_ten_percent(#[case] bytes: u64, #[case] told: &str) {
    assert_eq!(rough(bytes), told);
}

struct Told {
    running: Running,
    transitions: Transitions,
}

impl Told {
    fn new() -> Self {
        Self { running: Running::default(), transitions: Transitions::default() }
    }

    fn by(
        &mut self,
        published: &Published,
        in_the_way: Option<&str>,
        unproven: Option<&str>,
        at: i64,
    ) -> EtcdClusterStatus {
        let (cluster, site, summary) = (declared(), site(), summary(published));
        let picture =
            Picture { cluster: &cluster, published, summary: &summary, in_the_way, unproven, lacks: None, site: &site };
        project(&picture, &mut self.running, &mut self.transitions, Timestamp::from_second(at).unwrap())
    }
}

fn condition<'a>(
    status: &'a EtcdClusterStatus,
    kind: &str,
) -> &'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
    status.conditions.iter().find(|condition| condition.type_ == kind).unwrap()
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_pending_and_not_available() {
    let status = Told::new().by(&look_at(unborn(), &declared()).await, None, None, 0);
    assert_eq!((status.phase, status.ready_members, status.observed_generation), (Some(Phase::Pending), 0, Some(4)));
    let available = condition(&status, "Available");
    assert_eq!((available.status.as_str(), available.reason.as_str()), ("False", "NotFormed"));
    assert_eq!(status.endpoints, Vec::<String>::new(), "no client is sent to a cluster that is not one");
}

#[tokio::test]
async fn a_strangers_object_is_told_everywhere() {
    let foreign = "ConfigMap demo-members exists and does not belong to this EtcdCluster";
    let status = Told::new().by(&look_at(unborn(), &declared()).await, Some(foreign), None, 0);
    assert_eq!((status.phase, status.message.as_deref()), (Some(Phase::Pending), Some(foreign)));
    let degraded = condition(&status, "Degraded");
    assert_eq!(
        (degraded.status.as_str(), degraded.reason.as_str(), degraded.message.as_str()),
        ("True", "ObjectInTheWay", foreign)
    );
}

#[tokio::test]
async fn what_was_not_tried_yet_keeps_members_out_of_date() {
    let why = "etcd 3.7.3 as declared is tried: ErrImagePull";
    let status = Told::new().by(&look_at(formed(), &declared()).await, None, Some(why), 0);
    let up_to_date = condition(&status, "MembersUpToDate");
    assert_eq!(
        (up_to_date.status.as_str(), up_to_date.reason.as_str(), up_to_date.message.as_str()),
        ("False", "Preflight", why)
    );
}

#[tokio::test]
async fn a_condition_keeps_its_time_until_it_changes() {
    let (before, after) = (look_at(unborn(), &declared()).await, look_at(formed(), &declared()).await);
    let mut told = Told::new();
    let first = told.by(&before, None, None, 100);
    let later = told.by(&before, None, None, 200);
    assert_eq!(first.conditions, later.conditions);
    let foreign = told.by(&after, Some("in the way"), None, 300);
    let seconds = |status: &EtcdClusterStatus, kind| condition(status, kind).last_transition_time.0.as_second();
    assert_eq!((seconds(&foreign, "Degraded"), seconds(&foreign, "Available")), (300, 100));
}

#[tokio::test]
async fn an_operation_keeps_its_start_while_it_goes_on() {
    let mut record = unborn();
    record.birth = Birth::Forming;
    let creating = look_at(record, &declared()).await;
    let mut told = Told::new();
    let first = told.by(&creating, None, None, 100).operation.unwrap();
    let later = told.by(&creating, None, None, 200).operation.unwrap();
    assert_eq!((first.name.as_str(), first.started_at), ("create 3", Timestamp::from_second(100).unwrap()));
    assert_eq!(first, later);
}

#[tokio::test]
async fn words_alone_are_no_substance() {
    let status = Told::new().by(&look_at(unborn(), &declared()).await, Some("silent for 1 s"), None, 0);
    let later = Told::new().by(&look_at(unborn(), &declared()).await, Some("silent for 2 s"), None, 0);
    assert_ne!(status, later);
    assert!(!differs_in_substance(&status, &later));
    assert!(differs_in_substance(&status, &EtcdClusterStatus { ready_members: 1, ..status.clone() }));
}
