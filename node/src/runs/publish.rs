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
        origin: Some(Origin { run: job.run.clone(), attempt: job.attempt }),
        ..CreateMaterial::default()
    };
    let key = format!("{}-{}-{}", job.run, job.attempt, file.output);
    let mut tries = Tries::default();
    loop {
        let error = match send(node, &wanted, &key, file).await {
            Ok(material) => return Ok(material),
            Err(error) => error,
        };
        if !tries.go_on_after(&error) {
            return Err(given_up(&error, file.output));
        }
        tracing::debug!(run = %job.run, output = file.output, %error, "an output could not be published yet");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Decides how often it is tried.
#[derive(Default)]
struct Tries {
    lost: u32,
}

impl Tries {
    /// Whether it is tried once more after `error`.
    fn go_on_after(&mut self, error: &ClientError) -> bool {
        if matches!(error, ClientError::UploadGone { .. } | ClientError::UploadStopped { .. }) {
            self.lost += 1;
            return self.lost <= LOST_MAX;
        }
        is_transient(error)
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

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::Problem;

    fn lost() -> ClientError {
        ClientError::UploadGone { url: "http://node:7500/v1/uploads/m-1".to_owned() }
    }

    fn stopped() -> ClientError {
        ClientError::UploadStopped { url: "http://node:7500".to_owned(), offset: 5, cause: "no answer".to_owned() }
    }

    fn refused(code: Code) -> ClientError {
        ClientError::Problem(Problem::new(code, "the test wants it"))
    }

    #[test]
    fn an_upload_that_is_lost_again_and_again_is_left_to_another_node() {
        let mut tries = Tries::default();
        for number in 1..=LOST_MAX {
            let error = if number % 2 == 0 { stopped() } else { lost() };
            assert!(tries.go_on_after(&error), "{number}");
            assert!(tries.go_on_after(&refused(Code::NoLeader)), "what passes does not count");
        }
        assert!(!tries.go_on_after(&lost()));
        let Broken::Refused(reason) = given_up(&lost(), "mask") else { panic!("another node may have more luck") };
        assert!(
            reason.starts_with("the output 'mask' could not be stored: the upload at http://node:7500"),
            "{reason}"
        );
    }

    #[test]
    fn what_passes_is_outlasted_and_a_refusal_is_told_at_once() {
        let mut tries = Tries::default();
        let unreachable = ClientError::Unreachable { servers: "a".to_owned(), cause: "b".to_owned() };
        for _ in 0..10 * LOST_MAX {
            assert!(tries.go_on_after(&unreachable));
            assert!(tries.go_on_after(&refused(Code::TooManyRequests)));
        }
        for code in [Code::TooLarge, Code::BadRequest] {
            assert!(!tries.go_on_after(&refused(code)));
            let Broken::Failed(reason) = given_up(&refused(code), "mask") else { panic!("it is so everywhere") };
            assert!(reason.contains("'mask'") && reason.contains("the test wants it"), "{reason}");
        }
        for code in [Code::StaleGeneration, Code::Gone, Code::NotFound] {
            assert!(!tries.go_on_after(&refused(code)));
            assert!(matches!(given_up(&refused(code), "mask"), Broken::Gone), "the attempt is over");
        }
    }
}
