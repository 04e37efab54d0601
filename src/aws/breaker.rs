//! A circuit breaker for one invocation: after a failed call, a service is not called again.

use std::future::Future;
use std::sync::OnceLock;

use crate::aws::CallError;

/// The first failure of a service in one invocation.
///
/// A service that does not respond costs a timeout for each call, and a function's time is limited. So after the first
/// failed call, the others fail immediately. A later invocation calls the service again and does the remaining work.
#[derive(Debug, Default)]
pub struct Breaker(OnceLock<String>);

impl Breaker {
    /// Makes a call, unless an earlier one has failed. A request that the service rejects as invalid does not count as
    /// a failure.
    ///
    /// # Errors
    /// Returns the error of the call, or [`CallError::Transient`] without a call.
    pub async fn call<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        if let Some(why) = self.failure() {
            return Err(CallError::Transient(format!("not asked again in this invocation, after: {why}")));
        }
        let result = call.await;
        if let Err(CallError::Transient(why)) = &result {
            let _ = self.0.set(why.clone());
        }
        result
    }

    /// Returns the first failure, if there was one.
    pub fn failure(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn after_a_failure_there_is_no_call_any_more() {
        let breaker = Breaker::default();
        let passing = || Err::<(), _>(CallError::Transient("hangs".to_owned()));
        let never = || Err::<(), _>(CallError::Permanent("too large".to_owned()));
        assert_eq!(breaker.call(async { never() }).await, never(), "a refusal is an answer");
        assert_eq!(breaker.call(async { Ok(1) }).await, Ok(1));
        assert_eq!(breaker.failure(), None);
        assert_eq!(breaker.call(async { passing() }).await, passing());
        let second = breaker.call::<()>(async { panic!("it is called") }).await;
        assert!(matches!(&second, Err(CallError::Transient(why)) if why.ends_with("hangs")), "{second:?}");
        assert_eq!(breaker.failure(), Some("hangs"));
    }
}
