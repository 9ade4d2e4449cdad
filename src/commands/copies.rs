//! Waiting until a material has all its copies, in front of a bar.

use super::cluster::left;
use crate::progress::Progress;
use microtome_client::Cluster;
use microtome_proto::{cluster::Healing, material::Material};
use std::time::Duration;

/// How often the material is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits until all wanted copies are verified.
///
/// # Errors
/// Where the cluster cannot tell, or as soon as `check` fails.
pub(crate) async fn made(
    cluster: &Cluster,
    material: &Material,
    mut check: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Material> {
    let progress = Progress::of_fraction(&format!("copies of {}", material.name));
    loop {
        let now = cluster.material(&material.id).await?;
        if now.population_live >= now.population {
            return Ok(now);
        }
        check()?;
        show(cluster, &now, &progress).await?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Shows how many copies a material has, and how soon the others are there.
///
/// # Errors
/// Where the cluster cannot tell.
pub(crate) async fn show(cluster: &Cluster, material: &Material, progress: &Progress) -> anyhow::Result<()> {
    let healing = cluster.cluster().await?.healing;
    let what = format!("{} of {}, {}", material.population_live, material.population, left(&healing));
    progress.set_fraction(done(material, &healing), &what);
    Ok(())
}

/// The share of a material's wanted copies that is there, 0 to 1. The cluster tells what it has to copy in all: of that,
/// no more than what this material lacks can be this material's. It is nothing while no holder is known to be lost.
fn done(material: &Material, healing: &Healing) -> f64 {
    let copies = |count: u32| u64::from(count) * material.size;
    let lacking = copies(material.population.saturating_sub(material.population_live));
    let left = if healing.bytes_left == 0 { lacking } else { lacking.min(healing.bytes_left) };
    let wanted = copies(material.population);
    if wanted == 0 { 0.0 } else { 1.0 - left as f64 / wanted as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::{
        Timestamp,
        material::{MaterialState, Terms},
    };

    fn material(population: u32, population_live: u32) -> Material {
        Material {
            id: "m-1".parse().unwrap(),
            name: "a.svs".to_owned(),
            size: 100,
            size_unknown: false,
            media_type: "image/tiff".to_owned(),
            blake3: None,
            state: MaterialState::Degraded,
            population,
            population_live,
            replicas: Vec::new(),
            created_at: Timestamp::from_millis(0),
            terms: Terms::default(),
            used_at: None,
            origin: None,
            upload_url: None,
            view: "/view/m-1".to_owned(),
        }
    }

    #[test]
    fn the_bar_moves_with_the_bytes_and_never_counts_another_material() {
        let healing = |bytes_left| Healing { bytes_left, ..Healing::default() };
        assert_eq!(done(&material(2, 1), &healing(0)), 0.5, "not known yet to be lacking a copy");
        assert_eq!(done(&material(2, 1), &healing(100)), 0.5);
        assert_eq!(done(&material(2, 1), &healing(50)), 0.75);
        assert_eq!(done(&material(2, 1), &healing(100_000)), 0.5, "the rest belongs to others");
        assert_eq!(done(&material(2, 2), &healing(100_000)), 1.0);
        assert_eq!(done(&material(2, 3), &healing(0)), 1.0, "a copy too many, for a moment");
        assert_eq!(done(&material(0, 0), &healing(0)), 0.0);
    }
}
