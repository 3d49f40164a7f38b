//! How full the queues of a world are, and how full they may be.

use super::World;
use crate::oracle::fleet::{Crowd, queue};
use crate::process::Kind;

/// A leader measures for half a second at least what ends in a second: so much of it lies in three looks at most.
const A_SECOND_OF_LOOKS: u64 = 3 * 2;

impl World {
    /// Looks at the queue of each pool (I10), `ended` jobs after the last look. A laptop's is in its own memory.
    pub(super) async fn look_at_queues(&self, ended: u64) {
        let members = self.ground.store.members().await.unwrap();
        let workers = members.iter().filter(|member| member.kind == "worker").count() as u64;
        let places = |kind| self.places.iter().filter(|place| place.kind == kind).count() as u64;
        let (workers, leaders) = (workers.max(places(Kind::Worker)), places(Kind::Coordinator));
        let crowd = {
            let mut crowd = self.crowd.lock().unwrap();
            *crowd = Crowd {
                leaders: leaders.max(crowd.leaders),
                workers: workers.max(crowd.workers),
                ended: (ended * A_SECOND_OF_LOOKS).max(crowd.ended),
                doubled: crowd.doubled,
            };
            *crowd
        };
        for pool in self.pools() {
            let depth = self.ground.queue.depth(&pool).await.unwrap();
            self.ground.tell(queue(&pool, depth, &crowd));
            let mut deepest = self.deepest.lock().unwrap();
            *deepest = depth.max(*deepest);
        }
    }
}
