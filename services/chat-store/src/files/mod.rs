//! [`Files`] on a bucket of S3, or on a folder for development.
//!
//! Clients upload to the bucket itself, by URLs that it signed; to a folder they upload through this
//! service, by URLs signed here. Downloads always go through this service, which asks who may.

use std::{path::Path as FsPath, sync::Arc, time::Duration};

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chat_domain::{AttachmentId, BoxError, ChatError, File, FileType, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt as _, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder},
    local::LocalFileSystem,
    path::Path,
    signer::Signer as _,
};
use service_kit::Secret;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    ports::Answer,
    ports_files::{Bytestream, Files, Permit, Settled},
};

/// How long the bucket may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the bytes of a file may take, either way.
const TRANSFER: Duration = Duration::from_mins(10);
/// How much of an upload is written at once, in bytes; twice as much is in memory.
const CHUNK: usize = 256 * 1024;

/// Where a bucket is, and who asks.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain fields")]
pub struct BucketSettings {
    pub bucket: String,
    pub region: String,
    /// `None` is Amazon's own.
    pub endpoint: Option<String>,
    pub key_id: String,
    pub secret: Secret,
}

/// A place for files. A clone is the same.
#[derive(Clone)]
pub struct FileStore {
    objects: Arc<dyn ObjectStore>,
    uploads: Uploads,
}

/// Where clients upload to.
#[derive(Clone)]
enum Uploads {
    ToBucket(Arc<AmazonS3>),
    ThroughHere {
        key: Box<hmac::Key>,
        public_url: Arc<str>,
    },
}

impl FileStore {
    /// Keeps files in a folder, which is made if it is missing. Clients reach this service at
    /// `public_url`; `secret` signs what they may do.
    ///
    /// # Errors
    ///
    /// Returns why the folder cannot be used.
    pub fn in_folder(folder: &FsPath, public_url: &str, secret: &Secret) -> Result<Self, BoxError> {
        std::fs::create_dir_all(folder)?;
        let objects = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true);
        // Apart from whatever else the secret is good for.
        let purpose = format!("attachments\0{}", secret.expose());
        Ok(Self {
            objects: Arc::new(objects),
            uploads: Uploads::ThroughHere {
                key: Box::new(hmac::Key::new(hmac::HMAC_SHA256, purpose.as_bytes())),
                public_url: public_url.into(),
            },
        })
    }

    /// Keeps files in a bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the settings.
    pub fn in_bucket(settings: &BucketSettings) -> Result<Self, BoxError> {
        let client = ClientOptions::new()
            .with_connect_timeout(TIMEOUT)
            .with_timeout(TRANSFER);
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client)
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.key_id)
            .with_secret_access_key(settings.secret.expose());
        if let Some(endpoint) = &settings.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let bucket = Arc::new(builder.build()?);
        Ok(Self {
            objects: bucket.clone(),
            uploads: Uploads::ToBucket(bucket),
        })
    }

    async fn put(
        &self,
        id: AttachmentId,
        max: u64,
        bytes: &mut Bytestream,
    ) -> Result<(), ChatError> {
        let begun = bounded(self.objects.put_multipart(&upload(id))).await;
        let mut writing =
            WriteMultipart::new_with_chunk_size(begun.map_err(Failure::into_error)?, CHUNK);
        let mut size = 0;
        while let Some(part) = bytes.next().await {
            let part = part.map_err(|_| ChatError::Malformed("the upload broke off"))?;
            size += part.len() as u64;
            if max < size {
                return Err(ChatError::TooLarge("The file"));
            }
            let written = bounded(writing.wait_for_capacity(1)).await;
            written.map_err(Failure::into_error)?;
            writing.put(part);
        }
        bounded(writing.finish())
            .await
            .map_err(Failure::into_error)?;
        Ok(())
    }

    async fn settle(&self, file: &File, copy: Uuid) -> Result<Settled, object_store::Error> {
        let (from, to) = (upload(file.id), place(file.id, copy));
        // Nothing that is too long is copied.
        if self.objects.head(&from).await?.size != file.size {
            return Ok(Settled::Other);
        }
        self.objects.copy(&from, &to).await?;
        // Only there nobody can put something else in its place.
        let size = self.objects.head(&to).await?.size;
        if size == file.size {
            let end = size.min(FileType::HEAD as u64);
            let head = self.objects.get_range(&to, 0..end).await?;
            if file.is(size, &head) {
                return Ok(Settled::Kept);
            }
        }
        self.objects.delete(&to).await?;
        Ok(Settled::Other)
    }

    async fn delete(&self, path: &Path) -> Result<(), ChatError> {
        match bounded(self.objects.delete(path)).await {
            Ok(()) | Err(Failure::Missing) => Ok(()),
            Err(Failure::Other(error)) => Err(error),
        }
    }
}

impl Files for FileStore {
    fn upload_url<'a>(&'a self, permit: &'a Permit) -> Answer<'a, String> {
        Box::pin(async move {
            match &self.uploads {
                Uploads::ToBucket(bucket) => {
                    let left = permit.expires_at.0.saturating_sub(service_kit::now().0);
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                    let path = upload(permit.id);
                    let signing = bounded(bucket.signed_url(Method::PUT, &path, left));
                    Ok(signing.await.map_err(Failure::into_error)?.to_string())
                }
                Uploads::ThroughHere { key, public_url } => {
                    let Permit {
                        id,
                        size,
                        expires_at,
                    } = permit;
                    let signature = sign(key, permit);
                    Ok(format!(
                        "{public_url}/api/v1/uploads/{id}\
                         ?size={size}&expires={}&signature={signature}",
                        expires_at.0
                    ))
                }
            }
        })
    }

    fn permits(&self, permit: &Permit, signature: &str, now: Timestamp) -> bool {
        match &self.uploads {
            Uploads::ToBucket(_) => false,
            Uploads::ThroughHere { key, .. } => {
                let expected = sign(key, permit);
                let is_same = constant_time::verify_slices_are_equal(
                    expected.as_bytes(),
                    signature.as_bytes(),
                );
                now < permit.expires_at && is_same.is_ok()
            }
        }
    }

    fn put<'a>(&'a self, id: AttachmentId, max: u64, bytes: &'a mut Bytestream) -> Answer<'a, ()> {
        Box::pin(async move {
            let put = timeout(TRANSFER, self.put(id, max, bytes)).await;
            put.map_err(|_| ChatError::Malformed("the upload took too long"))?
        })
    }

    fn settle<'a>(&'a self, file: &'a File, copy: Uuid) -> Answer<'a, Settled> {
        Box::pin(async move {
            match bounded(self.settle(file, copy)).await {
                Ok(settled) => Ok(settled),
                Err(Failure::Missing) => Ok(Settled::Missing),
                Err(Failure::Other(error)) => Err(error),
            }
        })
    }

    fn read(&self, id: AttachmentId, copy: Uuid) -> Answer<'_, Bytestream> {
        Box::pin(async move {
            let got = bounded(self.objects.get(&place(id, copy))).await;
            let stream = got.map_err(Failure::into_error)?.into_stream();
            // Whoever reads too slowly gets less than was promised, which ends its connection.
            let stream = stream.take_until(Box::pin(tokio::time::sleep(TRANSFER)));
            Ok(stream.map_err(BoxError::from).boxed())
        })
    }

    fn remove_upload(&self, id: AttachmentId) -> Answer<'_, ()> {
        Box::pin(async move { self.delete(&upload(id)).await })
    }

    fn remove(&self, id: AttachmentId) -> Answer<'_, ()> {
        Box::pin(async move {
            let listing = self.objects.list(Some(&places(id)));
            let listed: Result<Vec<_>, Failure> = bounded(listing.try_collect()).await;
            let copies = match listed {
                Ok(copies) => copies,
                Err(Failure::Missing) => Vec::new(),
                Err(Failure::Other(error)) => return Err(error),
            };
            for copy in copies {
                self.delete(&copy.location).await?;
            }
            self.delete(&upload(id)).await
        })
    }
}

fn upload(id: AttachmentId) -> Path {
    Path::from(format!("uploads/{id}"))
}

fn places(id: AttachmentId) -> Path {
    Path::from(format!("files/{id}"))
}

fn place(id: AttachmentId, copy: Uuid) -> Path {
    Path::from(format!("files/{id}/{copy}"))
}

fn sign(key: &hmac::Key, permit: &Permit) -> String {
    let Permit {
        id,
        size,
        expires_at,
    } = permit;
    let said = format!("PUT\0{id}\0{size}\0{}", expires_at.0);
    BASE64.encode(hmac::sign(key, said.as_bytes()))
}

enum Failure {
    Missing,
    Other(ChatError),
}

impl Failure {
    fn into_error(self) -> ChatError {
        match self {
            Self::Missing => ChatError::AttachmentNotFound,
            Self::Other(error) => error,
        }
    }
}

async fn bounded<T>(
    asking: impl Future<Output = Result<T, object_store::Error>> + Send,
) -> Result<T, Failure> {
    let unavailable = |source: BoxError| {
        Failure::Other(ChatError::Unavailable {
            dependency: "files",
            source,
        })
    };
    match timeout(TIMEOUT, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(object_store::Error::NotFound { .. })) => Err(Failure::Missing),
        Ok(Err(error)) => Err(unavailable(error.into())),
        Err(elapsed) => Err(unavailable(elapsed.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bucket_signs_the_upload_of_one_file_for_a_while() {
        let settings = BucketSettings {
            bucket: "attachments".to_owned(),
            region: "eu-central-1".to_owned(),
            endpoint: Some("https://s3.example:9000".to_owned()),
            key_id: "id".to_owned(),
            secret: "hunter2".parse().unwrap(),
        };
        let files = FileStore::in_bucket(&settings).unwrap();
        let permit = Permit {
            id: AttachmentId(Uuid::nil()),
            size: 1,
            expires_at: service_kit::now().after(Duration::from_mins(15)),
        };

        let url = files.upload_url(&permit).await.unwrap();

        let place = format!("https://s3.example:9000/attachments/uploads/{}?", permit.id);
        assert!(url.starts_with(&place), "{url}");
        assert!(url.contains("X-Amz-Signature="), "{url}");
        assert!(!url.contains("hunter2"), "{url}");
        assert!(!files.permits(&permit, "", service_kit::now()));
    }
}
