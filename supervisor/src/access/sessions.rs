//! Sessions of the dashboard: a cookie stands for the token that somebody signed in with.
//!
//! The browser keeps only the session's id, which is worth nothing elsewhere and ends with the
//! session. The token is checked again with every request, so a session ends with its token.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::token::{TokenHash, unguessable};

/// Sessions at once. The oldest ends when another begins.
const MAX_SESSIONS: usize = 1024;

/// How long a session lasts: a working day.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// The sessions, by the hashes of their ids.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<TokenHash, Session>>);

struct Session {
    token: Zeroizing<String>,
    began: Instant,
}

impl std::fmt::Debug for Sessions {
    /// Without the tokens.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Sessions").field(&self.all().len()).finish()
    }
}

impl Sessions {
    /// Begins a session, and returns its id.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(super) fn begin(&self, token: &str) -> io::Result<Zeroizing<String>> {
        let id = unguessable()?;
        let mut all = self.all();
        all.retain(|_, session| session.is_there());
        if all.len() >= MAX_SESSIONS
            && let Some(oldest) =
                all.iter().min_by_key(|(_, session)| session.began).map(|(id, _)| *id)
        {
            all.remove(&oldest);
        }
        let session = Session { token: Zeroizing::new(token.to_owned()), began: Instant::now() };
        all.insert(TokenHash::of(&id), session);
        Ok(id)
    }

    /// The token of a session.
    pub(super) fn token(&self, id: TokenHash) -> Option<Zeroizing<String>> {
        let all = self.all();
        all.get(&id).filter(|session| session.is_there()).map(|session| session.token.clone())
    }

    /// Whether the session has not ended.
    pub(super) fn has(&self, id: TokenHash) -> bool {
        self.all().get(&id).is_some_and(Session::is_there)
    }

    pub(super) fn end(&self, id: TokenHash) {
        self.all().remove(&id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<TokenHash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_there(&self) -> bool {
        self.began.elapsed() < SESSION_LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stands_for_its_token_until_it_ends() {
        let sessions = Sessions::default();
        let id = TokenHash::of(&sessions.begin("t").unwrap());
        let other = TokenHash::of(&sessions.begin("u").unwrap());
        assert_eq!(sessions.token(id).unwrap().as_str(), "t");
        sessions.end(id);
        assert!(sessions.token(id).is_none());
        assert_eq!(sessions.token(other).unwrap().as_str(), "u");
        assert!(sessions.token(TokenHash::of("guess")).is_none());
    }

    #[test]
    fn the_oldest_session_ends_when_there_are_too_many() {
        let sessions = Sessions::default();
        let first = TokenHash::of(&sessions.begin("first").unwrap());
        for _ in 0..MAX_SESSIONS {
            sessions.begin("t").unwrap();
        }
        assert_eq!(sessions.all().len(), MAX_SESSIONS);
        assert!(sessions.token(first).is_none());
    }
}
