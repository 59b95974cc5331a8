//! Moving consumers: the sink gets the value of the key that they are to use, and a person is asked to say when they do. Both keys work all
//! the while, so what a sink fails to take is not taken back but delivered again.

use super::rotate::Fresh;
use super::{Machine, Name, created};
use crate::aws::machine::{Phase, Stop, of_sink, said};
use crate::azure::LiveAccount;
use crate::sink::{Delivery, Label, Sink, SinkError, Standing};
use crate::{Act, Event, RotationError, Secret, StorageItem};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use zeroize::Zeroizing;

/// What a value of a key is stored with.
pub(crate) fn label(item: &StorageItem, name: Name, created: Option<DateTime<Utc>>) -> Label {
    Label {
        account_id: item.subscription_id.clone(),
        owner: item.name.clone(),
        owner_id: item.id.clone(),
        key: name.text().to_owned(),
        generation: created.map_or_else(|| "unknown".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    }
}

/// What a person has to do for a run to go on.
pub(crate) fn needs(item: &StorageItem, to: Name, run: &str, sink: bool) -> String {
    let (name, key) = (&item.name, to.text());
    let what = match sink {
        true => format!("the sink has {key} of {name}: see to it that all consumers work with it"),
        false => format!("move all consumers of {name} to {key}"),
    };
    format!("{what}, then `assay rotate resume {run} --moved {name}={key}`")
}

impl Machine<'_> {
    /// Goes on only when a person has said that consumers are on this key.
    pub(super) async fn move_to(&mut self, name: Name, fresh: Option<Fresh>) -> Result<(), Stop> {
        let half = self.progress.half(name);
        if half.moved.is_some() {
            return Ok(());
        }
        if !half.asked {
            match self.sink {
                Some(sink) if !matches!(half.publish, Phase::Done(_)) => self.deliver(name, fresh, sink).await?,
                Some(_) => {}
                None => drop(self.ask(name.other().act()).await?),
            }
            self.write(Event::Asked { item: self.item(), to: name.text().to_owned() })?;
        }
        Err(Stop::Needs(needs(self.eyes.item, name, self.log.run(), self.sink.is_some())))
    }

    async fn deliver(&mut self, name: Name, fresh: Option<Fresh>, sink: &dyn Sink) -> Result<(), Stop> {
        let half = self.progress.half(name);
        let (account, value) = match fresh {
            Some(Fresh { value, account }) => (account, Some(value)),
            None => (self.ask(Act::Store).await?, None),
        };
        let label = label(self.eyes.item, name, created(&account, name));
        if half.publish != Phase::Not {
            let standing = sink.standing(&label).await.map_err(|e| self.unread(Act::Publish, &of_sink(&e)))?;
            if standing == Standing::Current {
                return self.done(Act::Publish, Some(name), None, Some("the sink says that it is current"));
            }
        } else if half.store == Phase::Not {
            sink.check(&label).await.map_err(|e| self.unread(Act::Store, &of_sink(&e)))?;
        }
        let value = match value {
            Some(value) => value,
            None => self.eyes.storage.key(&self.eyes.item.id, name.text()).await.map_err(|e| self.unread(Act::Store, &e))?,
        };
        let delivery = Delivery { label, document: document(self.eyes.item, name, &account, &value)? };
        self.begin(Act::Store, Some(name))?;
        if let Err(error) = sink.store(&delivery).await {
            return self.undelivered(Act::Store, &error);
        }
        self.done(Act::Store, Some(name), None, None)?;
        self.begin(Act::Publish, Some(name))?;
        let Err(error) = sink.publish(&delivery).await else { return self.done(Act::Publish, Some(name), None, None) };
        // A request to a cloud may have done its work although the answer was lost.
        if matches!(error, SinkError::Cloud(_)) && matches!(sink.standing(&delivery.label).await, Ok(Standing::Current)) {
            return self.done(Act::Publish, Some(name), None, Some("the call failed, but the sink says that it is current"));
        }
        self.undelivered(Act::Publish, &error)
    }

    fn undelivered(&mut self, act: Act, error: &SinkError) -> Result<(), Stop> {
        let error = of_sink(error);
        self.failed(act, &error, false)?;
        Err(Stop::Failed(format!("{}; nothing is lost: `assay rotate resume` delivers it again", said(&error))))
    }
}

/// The document of docs/rotation.md. Room for it is made at once: growing would leave a copy of the secret behind.
fn document(item: &StorageItem, name: Name, account: &LiveAccount, value: &Secret) -> Result<Secret, Stop> {
    #[derive(Serialize)]
    struct Document<'d> {
        account_name: &'d str,
        key_name: &'d str,
        key: &'d str,
        connection_string: &'d str,
    }
    let endpoints = endpoints(item, account);
    let room = item.name.len() + value.expose().len() + endpoints.len();
    let mut connection = Zeroizing::new(String::with_capacity(room + 128));
    for part in ["DefaultEndpointsProtocol=https;AccountName=", &item.name, ";AccountKey=", value.expose(), ";", &endpoints] {
        connection.push_str(part);
    }
    let document = Document { account_name: &item.name, key_name: name.text(), key: value.expose(), connection_string: &connection };
    let mut bytes = Vec::with_capacity(6 * (2 * room + 128) + 256);
    let wrong = || Stop::Fatal(RotationError::Internal { message: "the document for the sink cannot be written as JSON".into() });
    serde_json::to_writer(&mut bytes, &document).map_err(|_| wrong())?;
    String::from_utf8(bytes).map(Secret::new).map_err(|_| wrong())
}

/// Where the account is, for a connection string: by the suffix of its cloud, or address by address where its names are not plain ones.
fn endpoints(item: &StorageItem, account: &LiveAccount) -> String {
    const SERVICES: [(&str, &str); 4] =
        [("blob", "BlobEndpoint"), ("queue", "QueueEndpoint"), ("table", "TableEndpoint"), ("file", "FileEndpoint")];
    let prefix = |service: &str| format!("https://{}.{service}.", item.name.to_lowercase());
    let known: Vec<(&str, &str, &str)> =
        SERVICES.into_iter().filter_map(|(service, word)| Some((service, word, account.endpoints.get(service)?.as_str()))).collect();
    let plain: Vec<&str> = known.iter().filter_map(|(service, _, at)| at.strip_prefix(&prefix(service))).collect();
    match plain.first() {
        _ if known.is_empty() => "EndpointSuffix=core.windows.net".to_owned(),
        Some(suffix) if plain.len() == known.len() => format!("EndpointSuffix={}", suffix.trim_end_matches('/')),
        _ => known.iter().map(|(_, word, at)| format!("{word}={at}")).collect::<Vec<_>>().join(";"),
    }
}
