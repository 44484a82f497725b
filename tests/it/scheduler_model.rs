//! Claim, heartbeat, steal and finish against a plain model: several simulated workers go through histories in random
//! order, each step one call of the real code with the real SQL, on a clock that only the history moves. After every step
//! the whole ledger must be what the model says. A check that cannot fail is none, so the same histories must also find
//! every fault of a list: in each a fragment of one statement is replaced.

mod fault;
mod history;
mod ledger;
mod site;

use fault::{FAULTS, Fault};
use history::{Difference, History};
use site::Site;

use crate::scheduler_site::bare;
use crate::support::scale::scaled;

/// Steps of one history: enough for a plan to be stolen, tried again and finished.
const STEPS: usize = 80;

/// Histories that a fault may hide in, counted from the one that found it first.
const MOST: u64 = 200;

/// Goes through histories, one seed each, until one differs from the model.
async fn explore(
    site: &Site,
    seeds: std::ops::Range<u64>,
    fault: Option<&Fault>,
) -> Option<(u64, Difference)> {
    for seed in seeds {
        if let Err(difference) = History::new(site, seed, fault).await.run(STEPS).await {
            return Some((seed, difference));
        }
    }
    None
}

#[tokio::test]
async fn every_history_is_what_the_model_says() {
    let site = Site::new(&bare().await).await;
    let count = scaled(20, 20_000) as u64;
    if let Some((seed, difference)) = explore(&site, 0..count, None).await {
        panic!("seed {seed}: {difference}");
    }
}

#[tokio::test]
async fn every_planted_fault_is_found() {
    let site = Site::new(&bare().await).await;
    for fault in FAULTS {
        let found = explore(&site, fault.seed..fault.seed + MOST, Some(fault)).await;
        let (seed, difference) =
            found.unwrap_or_else(|| panic!("not found in {MOST} histories: {}", fault.name));
        println!("{}: seed {seed}: {difference}", fault.name);
    }
}
