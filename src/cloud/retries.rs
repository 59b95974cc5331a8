//! Whether a failed call is made again, and after how long. The wait is drawn from the whole of a span that doubles each time, so that those
//! who failed together do not come back together; the limiter then has its own say.

use crate::aws::client::Attempts;
use crate::{CloudError, ErrorKind};
use std::time::Duration;

/// Span of the wait before the second attempt, and the longest span.
const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(20);

/// The same after a throttle: short at first, because the limiter has slowed down by then.
const FIRST_THROTTLED: Duration = Duration::from_millis(200);
/// Throttles that a call endures, whatever the number of attempts: some thirty seconds of them.
const THROTTLES: u32 = 10;

/// Code of an answer that is only a part of one, or none: asking again may help.
pub(crate) const MALFORMED: &str = "MalformedAnswer";

/// The failures of one call so far.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    failures: u32,
    throttles: u32,
}

impl Retries {
    /// How long to wait before the next attempt; `None` if there is none. `random` is between 0 and 1.
    pub(crate) fn next(&mut self, error: &CloudError, attempts: &Attempts, random: f64) -> Option<Duration> {
        if attempts.throttled > 0 || error.kind == ErrorKind::Throttled {
            self.throttles += 1;
            return (self.throttles < THROTTLES).then(|| span(FIRST_THROTTLED, self.throttles).mul_f64(random));
        }
        let passing = match error.kind {
            // What is not implemented will not be in a second.
            ErrorKind::Transient | ErrorKind::Unreachable => error.status != Some(501),
            ErrorKind::BadAnswer => error.code == MALFORMED,
            _ => attempts.passing,
        };
        // Where nothing was sent there is nothing to repeat: a token could not be had.
        self.failures += 1;
        (passing && attempts.total > 0 && self.failures < attempts.most).then(|| span(FIRST, self.failures).mul_f64(random))
    }
}

fn span(first: Duration, made: u32) -> Duration {
    first.saturating_mul(1 << (made - 1).min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(kind: ErrorKind, code: &str, attempts: Attempts, random: f64) -> Vec<u128> {
        let (error, mut retries) = (CloudError::new(kind, code, ""), Retries::default());
        std::iter::from_fn(|| retries.next(&error, &attempts, random)).map(|w| w.as_millis()).take(20).collect()
    }

    #[test]
    fn passing_failures_are_tried_again_after_spans_that_double() {
        let sent = Attempts { total: 1, most: 4, ..Attempts::default() };
        for (kind, code, attempts, expected) in [
            (ErrorKind::Transient, "InternalError", sent, vec![800, 1600, 3200]),
            (ErrorKind::Unreachable, "Unreachable", Attempts { most: 2, ..sent }, vec![800]),
            (ErrorKind::BadAnswer, MALFORMED, sent, vec![800, 1600, 3200]),
            (ErrorKind::BadAnswer, "HtmlAnswer", sent, vec![]),
            (ErrorKind::NotFound, "NoSuchEntity", sent, vec![]),
            (ErrorKind::Service, "InProgress", Attempts { passing: true, ..sent }, vec![800, 1600, 3200]),
            (ErrorKind::Unreachable, "NoToken", Attempts { total: 0, ..sent }, vec![]),
            (ErrorKind::Throttled, "Throttling", sent, vec![200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000]),
            (
                ErrorKind::Throttled,
                "Throttling",
                Attempts { most: 1, ..sent },
                vec![200, 400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000],
            ),
        ] {
            assert_eq!(wait(kind, code, attempts, 1.0), expected, "{code}");
        }
        assert_eq!(wait(ErrorKind::Transient, "InternalError", sent, 0.25), [200, 400, 800]);
        assert_eq!(wait(ErrorKind::Transient, "InternalError", sent, 0.0), [0, 0, 0], "from the whole span");
    }
}
