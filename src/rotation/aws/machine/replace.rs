//! The first step: a second key, its secret in the sink, the proof that it works, and the sink's making it current. All of it or none.

use super::{Machine, Phase, Stop, of_sink, said};
use crate::aws::NewKey;
use crate::sink::{Delivery, Sink, SinkError, Standing};
use crate::{Act, RotationError, Secret};
use assay_cloud::{CloudError, ErrorKind};
use serde::Serialize;
use std::time::Duration;

/// A new key spreads through AWS; the proof is repeated after these pauses, in seconds.
const PROOFS: [u64; 8] = [0, 1, 2, 4, 8, 15, 15, 15];

impl Machine<'_> {
    pub(super) async fn replace(&mut self) -> Result<(), Stop> {
        if self.progress.attempt.is_some() && self.recover().await? {
            return Ok(());
        }
        let sink = self.the_sink()?;
        let mut seen = self.eyes.look(Act::Create).await.map_err(|e| self.unread(Act::Create, &e))?;
        if self.stray(&seen.keys).await? {
            seen = self.eyes.look(Act::Create).await.map_err(|e| self.unread(Act::Create, &e))?;
        }
        self.eyes.judge(Act::Create, &seen, None, None).map_err(|o| self.refused(Act::Create, o))?;
        if let Err(error) = sink.check(&self.label("")).await {
            return Err(self.unread(Act::Create, &of_sink(&error)));
        }
        self.begin(Act::Create, None)?;
        match self.eyes.iam.create(&self.eyes.item.user).await {
            Ok(new) => {
                self.done(Act::Create, Some(&new.id), None)?;
                self.deliver(&new, sink).await
            }
            Err(e) => {
                self.failed(Act::Create, &e.error, e.without_effect)?;
                if !e.without_effect {
                    self.settle_doubt().await?;
                }
                Err(Stop::Failed(said(&e.error)))
            }
        }
    }

    /// The sink of this item.
    fn the_sink<'s>(&self) -> Result<&'s dyn Sink, Stop>
    where
        Self: 's,
    {
        self.sink.ok_or_else(|| Stop::Fatal(RotationError::Internal { message: "a key is to be replaced, but there is no sink".into() }))
    }

    async fn deliver(&mut self, new: &NewKey, sink: &dyn Sink) -> Result<(), Stop> {
        let delivery = Delivery { label: self.label(&new.id), document: self.document(new)? };
        let Err(error) = self.hand_over(new, sink, &delivery).await? else { return Ok(()) };
        match self.take_back(&new.id).await {
            Ok(()) => Err(Stop::Failed(format!("{}; the new key was taken back", said(&error)))),
            Err(Stop::Refused(refusal, _)) => Err(Stop::Failed(format!("{}; {refusal}", said(&error)))),
            Err(Stop::Failed(why)) => Err(Stop::Failed(format!("{}; the new key {} is left: {why}", said(&error), new.id))),
            Err(stop) => Err(stop),
        }
    }

    /// Store, verify, publish. The inner error: it has to be taken back.
    async fn hand_over(&mut self, new: &NewKey, sink: &dyn Sink, delivery: &Delivery) -> Result<Result<(), CloudError>, Stop> {
        let id = Some(new.id.as_str());
        self.begin(Act::Store, id)?;
        if let Err(error) = sink.store(delivery).await {
            let error = of_sink(&error);
            self.failed(Act::Store, &error, false)?;
            return Ok(Err(error));
        }
        self.done(Act::Store, id, None)?;
        self.begin(Act::Verify, id)?;
        if let Err(error) = self.prove(new).await {
            self.failed(Act::Verify, &error, true)?;
            return Ok(Err(error));
        }
        self.done(Act::Verify, id, None)?;
        self.begin(Act::Publish, id)?;
        let Err(error) = sink.publish(delivery).await else { return self.done(Act::Publish, id, None).map(Ok) };
        // A request to a cloud may have done its work although the answer was lost.
        let current = matches!(error, SinkError::Cloud(_)) && matches!(sink.standing(&delivery.label).await, Ok(Standing::Current));
        let told = of_sink(&error);
        if current {
            return self.done(Act::Publish, id, Some("the call failed, but the sink says that it is current")).map(Ok);
        }
        self.failed(Act::Publish, &told, matches!(error, SinkError::Other(_)))?;
        Ok(Err(told))
    }

    /// Asks with the new key who it is.
    async fn prove(&self, new: &NewKey) -> Result<(), CloudError> {
        let item = self.eyes.item;
        let mut last = None;
        for pause in PROOFS {
            if pause > 0 {
                self.eyes.clock.0.sleep(Duration::from_secs(pause)).await;
            }
            match self.eyes.iam.identify(&new.id, &new.secret).await {
                Ok((account, user)) if account == item.account_id && user == item.user_id => return Ok(()),
                Ok((account, user)) => {
                    let message =
                        format!("the new key {} is of {user} in {account}, not of {} in {}", new.id, item.user_id, item.account_id);
                    return Err(CloudError::new(ErrorKind::BadAnswer, "NotThisUser", message));
                }
                Err(error) if spreads(&error) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| CloudError::new(ErrorKind::BadAnswer, "NotProved", "the new key could not be proved to work")))
    }

    /// After a crash or a failure: true if the new key turns out to be with its consumers, else it was taken back.
    async fn recover(&mut self) -> Result<bool, Stop> {
        let Some(attempt) = self.progress.attempt.clone() else { return Ok(false) };
        let Some(key) = attempt.key.as_deref() else {
            self.settle_doubt().await?;
            return Ok(false);
        };
        if !attempt.goes() && attempt.publish == Phase::Begun {
            match self.standing(key).await? {
                Standing::Current if self.works(key).await? => {
                    self.done(Act::Publish, Some(key), Some("the sink says that it is current"))?;
                    return Ok(true);
                }
                Standing::Unknown if attempt.word && self.works(key).await? => {
                    self.done(Act::Publish, Some(key), Some("the operator says that consumers have it"))?;
                    return Ok(true);
                }
                Standing::Unknown if !attempt.word => {
                    return Err(Stop::Needs(format!(
                        "nobody knows whether the sink handed out the new key {key}: if it did, `assay rotate resume {run} --moved {key}`; \
                         if not, `assay rotate undo {key}` takes it back",
                        run = self.log.run()
                    )));
                }
                _ => {}
            }
        }
        self.take_back(key).await?;
        Ok(false)
    }

    pub(super) async fn standing(&mut self, key: &str) -> Result<Standing, Stop> {
        let sink = self.the_sink()?;
        let label = self.label(key);
        sink.standing(&label).await.map_err(|e| self.unread(Act::Publish, &of_sink(&e)))
    }

    /// Is this key there and active?
    async fn works(&mut self, key: &str) -> Result<bool, Stop> {
        let active = |keys: &[crate::aws::LiveKey]| keys.iter().any(|k| k.id == key && k.status == crate::KeyStatus::Active);
        let keys = self.eyes.keys_until(active).await.map_err(|e| self.unread(Act::Publish, &e))?;
        Ok(active(&keys))
    }

    /// The document of docs/rotation.md. Room for it is made at once: growing would leave a copy of the secret behind.
    fn document(&self, new: &NewKey) -> Result<Secret, Stop> {
        #[derive(Serialize)]
        struct Document<'d> {
            aws_access_key_id: &'d str,
            aws_secret_access_key: &'d str,
            user_name: &'d str,
            account_id: &'d str,
        }
        let item = self.eyes.item;
        let document = Document {
            aws_access_key_id: &new.id,
            aws_secret_access_key: new.secret.expose(),
            user_name: &item.user,
            account_id: &item.account_id,
        };
        let longest = 6 * (new.id.len() + new.secret.expose().len() + item.user.len() + item.account_id.len()) + 128;
        let mut bytes = Vec::with_capacity(longest);
        let wrong = || Stop::Fatal(RotationError::Internal { message: "the document for the sink cannot be written as JSON".into() });
        serde_json::to_writer(&mut bytes, &document).map_err(|_| wrong())?;
        String::from_utf8(bytes).map(Secret::new).map_err(|_| wrong())
    }
}

/// May the same question be answered otherwise in a moment?
fn spreads(error: &CloudError) -> bool {
    matches!(error.kind, ErrorKind::Credentials | ErrorKind::Throttled | ErrorKind::Transient | ErrorKind::Unreachable)
        || matches!(error.code.as_str(), "InvalidClientTokenId" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AuthFailure")
}
