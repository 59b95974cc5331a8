//! One run per account at a time: a lock file with owner and expiry, held by the operating system while the process lives.
