//! An output becomes a material: once, however often it is tried.

use super::{
    Job,
    attempt::{Broken, is_transient},
    pipeline::MadeFile,
};
use crate::{Node, tasks::blocking};
use microtome_client::{ClientError, FileSource};
use microtome_proto::{
    Code, MaterialId,
    material::{CreateMaterial, Origin},
};
use std::{io, sync::Arc, time::Duration};

/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(2);
/// Tries after which an upload that is lost or stands still again and again is left to another node: the one that it
/// goes to may be dead for good.
const LOST_MAX: u32 = 5;

/// Creates the material and sends its bytes. The key makes a second try, also after a restart of the node, find the
/// material of the first.
pub(super) async fn publish(node: &Node, job: &Job, file: &MadeFile) -> Result<MaterialId, Broken> {
    let (size, blake3) = measure(file).await.map_err(|error| Broken::Refused(format!("{}: {error}", file.output)))?;
    let wanted = CreateMaterial {
        name: file.name.clone(),
        size,
        media_type: Some(file.media_type.to_owned()),
        blake3: Some(blake3),
        population: None,
        origin: Some(Origin { run: job.run.clone(), attempt: job.attempt }),
    };
    let key = format!("{}-{}-{}", job.run, job.attempt, file.output);
    let mut lost = 0;
    loop {
        let error = match send(node, &wanted, &key, file).await {
            Ok(material) => return Ok(material),
            Err(error) => error,
        };
        let goes_on = if matches!(error, ClientError::UploadGone { .. } | ClientError::UploadStopped { .. }) {
            lost += 1;
            lost <= LOST_MAX
        } else {
            is_transient(&error)
        };
        if !goes_on {
            return Err(given_up(&error, file.output));
        }
        tracing::debug!(run = %job.run, output = file.output, %error, "an output could not be published yet");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn send(node: &Node, wanted: &CreateMaterial, key: &str, file: &MadeFile) -> Result<MaterialId, ClientError> {
    let material = node.cluster.create_material_once(wanted, key).await?;
    let source = FileSource::open(&file.path)?;
    node.cluster.upload(&material, Arc::new(source), &|_| {}).await?;
    Ok(material.id)
}

fn given_up(error: &ClientError, output: &str) -> Broken {
    match error.code() {
        Some(Code::StaleGeneration | Code::Gone | Code::NotFound) => Broken::Gone,
        Some(_) => Broken::Failed(format!("the output '{output}' could not be stored: {error}")),
        None => Broken::Refused(format!("the output '{output}' could not be stored: {error}")),
    }
}

async fn measure(file: &MadeFile) -> io::Result<(u64, String)> {
    let path = file.path.clone();
    blocking(move || {
        let mut hasher = blake3::Hasher::new();
        let size = io::copy(&mut std::fs::File::open(&path)?, &mut hasher)?;
        Ok((size, hasher.finalize().to_hex().to_string()))
    })
    .await
}
