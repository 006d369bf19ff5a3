//! Item 2: any size to any size, in steps, in jumps, and with a change of mind.

use std::time::Duration;

use tokio::time::sleep;

use crate::stage::Stage;

async fn walks(test: &str, first: i64, sizes: &[i64]) {
    let Some(stage) = Stage::declare(test, first).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    for &size in sizes {
        stage.scale(size).await;
        stage.converged().await;
    }
    assert_eq!(stage.restarts().await, 0, "a member was restarted while the cluster was scaled");
    stage.settle(witness).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn step_by_step_up_and_down() {
    walks("steps", 1, &[3, 5, 3, 1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_to_seven_and_back_in_one_jump() {
    walks("jumps", 1, &[7, 1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_and_back() {
    walks("nine", 7, &[9, 7]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_mid_flight_is_honoured() {
    let Some(stage) = Stage::declare("edits", 3).await else { return };
    stage.converged().await;
    let witness = stage.witness().await;
    // Edits of a person who changes his mind: the waits are part of what is tested.
    for size in [5, 3, 7] {
        stage.scale(size).await;
        sleep(Duration::from_millis(600)).await;
    }
    stage.converged().await;
    stage.settle(witness).await;
    stage.end().await;
}
