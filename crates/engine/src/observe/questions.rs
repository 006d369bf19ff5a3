//! Whom a pass asks what. Everybody about themselves, anybody for the member list; what costs the members something is asked rarely, and
//! only for a reason.

use std::time::Duration;

use etcdop_core::{
    id::Mono,
    observation::{Blocker, Probe},
};

use super::{
    FRESH, Observer, Place, cluster,
    inquiry::Inquiries,
    instance_id, links,
    opening::{EXPECTED, INSIST, insist},
    peer_port, roster, status,
};
use crate::{
    contact::{Routes, may_answer},
    platform::Ground,
};

/// Between two questions for the alarm list, which each write to the log.
const ALARM_PACE: Duration = Duration::from_secs(1);

/// Between two readings of the leader's metrics page, which is large.
const LINK_PACE: Duration = Duration::from_millis(200);

/// For how long a silent member makes the leader's metrics page worth reading.
const LINK_AFTER: Duration = Duration::from_millis(500);

/// Between two questions for the cluster version, which rarely changes.
const VERSION_PACE: Duration = Duration::from_millis(500);

/// Between two readings of a joiner's metrics page: collecting it slows down its start.
const PROGRESS_PACE: Duration = Duration::from_millis(100);

/// For how long a joiner's silence makes its metrics page worth reading: most answer before.
const PROGRESS_AFTER: Duration = Duration::from_millis(150);

impl Observer {
    /// Puts all questions of a pass, by what the pass before has heard.
    pub(super) fn ask(&mut self, ground: &Ground, now: Mono) {
        self.contacts.forget_others(ground);
        let is_there = |(slot, instance): &Place| {
            ground.slots.get(slot).is_some_and(may_answer) && *instance == instance_id(ground, *slot)
        };
        self.statuses.forget_others(is_there);
        self.versions.forget_others(is_there);
        self.ports.forget_others(is_there);
        self.progress.forget_others(is_there);

        let routes = Routes::new(cluster(&self.record.value), ground, &self.heard, &mut self.contacts);
        for route in &routes.in_turn {
            let place = (route.slot, instance_id(ground, route.slot));
            let (client, deadline) = (route.client.clone(), self.tuning.answer);
            let status = insist(self.patience(&place, now), move || status::ask(client.clone(), deadline));
            self.statuses.ask(&place, now, status);
            match self.heard.get(&route.slot) {
                Some(Probe::Known { .. }) => self.ask_version(ground, &place, now),
                Some(Probe::Unknown { .. }) => self.ask_ports(ground, &place, now),
                None => {}
            }
        }
        if routes.in_turn.is_empty() {
            self.roster = Inquiries::new();
        } else {
            let (routes, tuning) = (routes.clone(), self.tuning.clone());
            self.roster.ask(&(), now, async move { roster::ask(routes, &tuning).await });
        }
        self.ask_leader(ground, &routes, now);
        self.routes = routes;
    }

    /// For how long one question to it goes on: whoever has just been started opens its port any moment.
    fn patience(&self, place: &Place, now: Mono) -> Duration {
        let silent = self.statuses.probe(place, now, FRESH).unknown_since();
        let expected = silent.is_some_and(|since| now.since(since) < EXPECTED);
        if expected { INSIST } else { Duration::ZERO }
    }

    fn ask_version(&mut self, ground: &Ground, place: &Place, now: Mono) {
        let due = self.versions.last_asked(place).is_none_or(|asked| now.since(asked) >= VERSION_PACE);
        let page = ground.slots.get(&place.0).map(|slot| self.contacts.page(&slot.dial.client));
        if let (true, Some(Ok(page))) = (due, page) {
            self.versions.ask(place, now, status::ask_cluster_version(page, self.tuning.answer));
        }
    }

    fn ask_ports(&mut self, ground: &Ground, place: &Place, now: Mono) {
        let Some(dial) = ground.slots.get(&place.0).map(|slot| &slot.dial) else { return };
        let serves = self.ports.probe(place, now, FRESH).known().is_some();
        let silent = self.statuses.probe(place, now, FRESH).unknown_since();
        let due = silent.is_some_and(|since| now.since(since) >= PROGRESS_AFTER)
            && self.progress.last_asked(place).is_none_or(|asked| now.since(asked) >= PROGRESS_PACE);
        if let Ok(peer) = self.contacts.page(&dial.peer) {
            let deadline = self.tuning.peer_port;
            let port = insist(self.patience(place, now), move || peer_port::ask(peer.clone(), deadline));
            self.ports.ask(place, now, port);
        }
        if let (true, true, Ok(metrics)) = (serves, due, self.contacts.page(&dial.metrics)) {
            self.progress.ask(place, now, peer_port::ask_progress(metrics, self.tuning.peer_port));
        }
    }

    /// What only the leader is asked, and only when there is a reason: who its peers are, and the alarms.
    fn ask_leader(&mut self, ground: &Ground, routes: &Routes, now: Mono) {
        let Some(leader) = routes.leader else { return };
        let Some(route) = routes.in_turn.iter().find(|route| route.member == Some(leader)) else { return };
        let mut members = self.record.value.slots.iter().filter(|(_, seat)| seat.member.is_some());
        let silent = members.any(|(slot, _)| {
            let since = self.heard.get(slot).and_then(Probe::unknown_since);
            since.is_some_and(|since| now.since(since) >= LINK_AFTER)
        });
        let due = self.links.last_asked(&leader).is_none_or(|asked| now.since(asked) >= LINK_PACE);
        let metrics = ground.slots.get(&route.slot).map(|place| self.contacts.page(&place.dial.metrics));
        if let (true, true, Some(Ok(metrics))) = (silent, due, metrics) {
            self.links.forget_others(|asked| *asked == leader);
            self.links.ask(&leader, now, links::ask(metrics, self.tuning.answer));
        }
        let mentioned = self.heard.values().filter_map(Probe::known).any(|status| !status.alarms.is_empty());
        let due = self.alarms.last_asked(&()).is_none_or(|asked| now.since(asked) >= ALARM_PACE);
        if mentioned && due {
            let client = route.client.deadline(self.tuning.answer);
            self.alarms.ask(&(), now, async move {
                let answer = client.alarms().await.map_err(|error| Blocker(error.to_string()))?;
                Ok(answer.value.into_iter().map(status::alarm).collect())
            });
        }
    }
}
