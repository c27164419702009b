//! Revocations between wire and domain.

use chat_domain::{AppId, IssuedName, Revocation, RevocationPage, Revoked, Timestamp, UserId};

use crate::{WireError, v1};

impl From<&RevocationPage> for v1::ListRevocationsReply {
    fn from(page: &RevocationPage) -> Self {
        Self {
            revocations: page.revocations.iter().map(Into::into).collect(),
            more: page.more,
            epoch: page.epoch,
        }
    }
}

impl TryFrom<v1::ListRevocationsReply> for RevocationPage {
    type Error = WireError;

    fn try_from(wire: v1::ListRevocationsReply) -> Result<Self, WireError> {
        let revocations = wire.revocations.into_iter().map(TryInto::try_into);
        Ok(Self {
            epoch: wire.epoch,
            revocations: revocations.collect::<Result<_, WireError>>()?,
            more: wire.more,
        })
    }
}

impl From<&(u64, Revocation)> for v1::Revocation {
    fn from((number, revocation): &(u64, Revocation)) -> Self {
        use v1::revocation::Revoked as Wire;
        Self {
            number: *number,
            app: revocation.app.as_str().to_owned(),
            revoked: Some(match &revocation.revoked {
                Revoked::User { user, issued_until } => Wire::User(v1::RevokedUser {
                    user_id: user.as_str().to_owned(),
                    issued_until_ms: issued_until.0,
                }),
                Revoked::Session(name) => Wire::SessionId(name.as_str().to_owned()),
                Revoked::Token(name) => Wire::TokenId(name.as_str().to_owned()),
            }),
            expires_at_ms: revocation.expires_at.map(|at| at.0),
        }
    }
}

impl TryFrom<v1::Revocation> for (u64, Revocation) {
    type Error = WireError;

    fn try_from(wire: v1::Revocation) -> Result<Self, WireError> {
        use v1::revocation::Revoked as Wire;
        let revoked = match wire.revoked.ok_or(WireError::Field("revoked"))? {
            Wire::User(user) => Revoked::User {
                user: UserId::new(&user.user_id)?,
                issued_until: Timestamp(user.issued_until_ms),
            },
            Wire::SessionId(name) => Revoked::Session(IssuedName::new(&name)?),
            Wire::TokenId(name) => Revoked::Token(IssuedName::new(&name)?),
        };
        let revocation = Revocation {
            app: AppId::new(&wire.app)?,
            revoked,
            expires_at: wire.expires_at_ms.map(Timestamp),
        };
        Ok((wire.number, revocation))
    }
}
