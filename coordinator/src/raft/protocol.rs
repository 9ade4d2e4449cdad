//! Coordinators of two versions in one group: by which protocol they work, and who holds it back.

use super::Group;
use crate::{
    CoordinatorError,
    core::{
        command::{Command, Outcome},
        tables::Meta,
        view::Typed as _,
    },
};
use futures_util::future::join_all;
use microtome_proto::{Code, CoordinatorId, protocol};
use std::time::Duration;

/// How often what was applied is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Group {
    /// The protocol by which the coordinators work, as far as this one knows.
    pub(crate) fn protocol(&self) -> u32 {
        let meta = self.read(|view| view.get_record::<Meta>(&()));
        meta.ok().flatten().map_or(protocol::FIRST, |meta| meta.protocol())
    }

    /// Refuses a program that is older than the one that ran here before.
    pub(crate) fn speaks_enough(&self) -> Result<(), CoordinatorError> {
        let (cluster, own) = (self.protocol(), self.peers().protocol);
        if cluster > own { Err(CoordinatorError::TooOld { cluster, own }) } else { Ok(()) }
    }

    /// Returns when the log has told that the cluster works by a protocol that this program does not speak: what the state
    /// had of the log when it was opened may not have told it yet.
    pub(crate) async fn outgrown(&self) -> CoordinatorError {
        let mut applied = self.applied();
        loop {
            if let Err(error) = self.speaks_enough() {
                return error;
            }
            if applied.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The refusal of a command that not all coordinators understand.
    pub(super) fn not_understood(&self, command: &Command) -> Option<Outcome> {
        let needed = command.protocol();
        let is_understood = needed <= protocol::FIRST || needed <= self.protocol();
        let detail = || format!("it needs coordinators that speak protocol {needed}: {}", self.held_back.lock());
        (!is_understood).then(|| Outcome::Refused { code: Code::Upgrading, detail: detail() })
    }

    /// Asks all coordinators what they speak, and raises the protocol to what all of them do.
    pub(crate) async fn raise_protocol(&self) {
        let own = self.peers().protocol;
        if self.protocol() >= own {
            return;
        }
        let others = self.members().into_iter().map(|member| member.coordinator).filter(|other| other.id != self.id());
        let asked = others.map(|other| async move {
            let standing = self.standing_at(other.id, &other.url).await;
            (other.id, standing.ok().map(|standing| standing.protocol))
        });
        let told = join_all(asked).await;
        let lagging = lagging(own, &told);
        if !lagging.is_empty() {
            let mut before = self.held_back.lock();
            if *before != lagging {
                tracing::warn!(lagging, "what this version brings waits until all coordinators are upgraded");
                *before = lagging;
            }
            return;
        }
        match self.propose(Command::RaiseProtocol { protocol: own }).await {
            Ok(_) => tracing::info!(protocol = own, "all coordinators speak it"),
            Err(error) => tracing::debug!(%error, "the protocol was not raised"),
        }
    }
}

/// Who does not speak `own`, in words; nothing where all do.
fn lagging(own: u32, told: &[(CoordinatorId, Option<u32>)]) -> String {
    let lagging = told.iter().filter_map(|(id, spoken)| match spoken {
        None => Some(format!("coordinator {id} does not answer")),
        Some(spoken) if *spoken < own => Some(format!("coordinator {id} speaks {spoken}")),
        Some(_) => None,
    });
    lagging.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_older_or_silent_holds_the_others_back() {
        assert_eq!(lagging(2, &[(2, Some(2)), (3, Some(3))]), "");
        assert_eq!(lagging(2, &[(2, Some(1)), (3, None)]), "coordinator 2 speaks 1, coordinator 3 does not answer");
        assert_eq!(lagging(2, &[]), "");
    }
}
