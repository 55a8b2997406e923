//! The security events.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An account was created.
    SignedUp,
    /// A session was opened.
    SignedIn,
    /// An email or a password was wrong.
    SignInFailed,
    /// The password was right, and the account needs a code of its second factor.
    SecondFactorRequired,
    /// A code of a second factor was wrong.
    SecondFactorFailed,
    /// A second factor was enabled.
    TotpEnabled,
    /// A second factor was removed.
    TotpDisabled,
    /// A guess at a password or another limited call was refused, because there were too many of them.
    Throttled,
    /// An access token was minted for a refresh token.
    Refreshed,
    /// An access token was minted for a protected request with a refresh token.
    Renewed,
    /// A spent refresh token was used again, and its session has ended.
    TokenReused,
    /// All of a user's tokens were removed.
    TokensRemoved,
    /// One or more sessions have ended.
    SessionEnded,
    /// A password was changed, and all other sessions ended.
    PasswordChanged,
    /// An account was deleted.
    UserDeleted,
    /// Somebody asked for a link that resets a password.
    PasswordResetRequested,
    /// A password was reset by a link, and all sessions ended.
    PasswordReset,
    /// A link that verifies an address was requested.
    EmailVerificationRequested,
    /// An address was verified by a link.
    EmailVerified,
    /// The owner of an account asked for a link that changes its address.
    EmailChangeRequested,
    /// The address of an account was changed by a link, and all sessions ended.
    EmailChanged,
}

impl Event {
    /// Every event.
    pub(crate) const ALL: [Self; 21] = [
        Self::SignedUp,
        Self::SignedIn,
        Self::SignInFailed,
        Self::SecondFactorRequired,
        Self::SecondFactorFailed,
        Self::TotpEnabled,
        Self::TotpDisabled,
        Self::Throttled,
        Self::Refreshed,
        Self::Renewed,
        Self::TokenReused,
        Self::TokensRemoved,
        Self::SessionEnded,
        Self::PasswordChanged,
        Self::UserDeleted,
        Self::PasswordResetRequested,
        Self::PasswordReset,
        Self::EmailVerificationRequested,
        Self::EmailVerified,
        Self::EmailChangeRequested,
        Self::EmailChanged,
    ];

    /// Whether webhooks announce the event. They leave out wrong passwords and refusals, which need no account, the
    /// frequent events of live sessions, and the request for a new password, whose work must be the same for an unknown
    /// email. They announce a wrong code, because only somebody who knows the password gets to this step at a sign-in,
    /// and the limits on guesses bound the number.
    pub(crate) fn is_announced(self) -> bool {
        !matches!(
            self,
            Self::SignInFailed | Self::PasswordResetRequested | Self::Throttled | Self::Refreshed | Self::Renewed
        )
    }

    /// The name in the audit trail, in the metrics and in webhooks.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SignedUp => "signed_up",
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::SecondFactorRequired => "second_factor_required",
            Self::SecondFactorFailed => "second_factor_failed",
            Self::TotpEnabled => "totp_enabled",
            Self::TotpDisabled => "totp_disabled",
            Self::Throttled => "throttled",
            Self::Refreshed => "refreshed",
            Self::Renewed => "renewed",
            Self::TokenReused => "token_reused",
            Self::TokensRemoved => "tokens_removed",
            Self::SessionEnded => "session_ended",
            Self::PasswordChanged => "password_changed",
            Self::UserDeleted => "user_deleted",
            Self::PasswordResetRequested => "password_reset_requested",
            Self::PasswordReset => "password_reset",
            Self::EmailVerificationRequested => "email_verification_requested",
            Self::EmailVerified => "email_verified",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChanged => "email_changed",
        }
    }
}
