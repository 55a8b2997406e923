//! The mails that users get.

/// The life of a link that sets a new password, in seconds.
pub const RESET_LINK_SECONDS: u64 = 3_600;
/// The life of a link that verifies an email, in seconds.
pub const VERIFY_LINK_SECONDS: u64 = 86_400;
/// The life of a link that confirms a new email, in seconds.
pub const CHANGE_LINK_SECONDS: u64 = 3_600;

/// A mail to a user. `to` is the address in the spelling of the account.
///
/// `Debug` shows the kind only: an address is personal data, and a link is a secret.
#[derive(Clone)]
pub enum Message {
    /// Asks the owner of a new account to verify the email.
    VerifyEmail {
        /// The address of the account.
        to: String,
        /// Opens the page that verifies the email.
        link: String,
    },
    /// Lets the owner of an account choose a new password.
    ResetPassword {
        /// The address of the account.
        to: String,
        /// Opens the page that asks for the new password.
        link: String,
    },
    /// Asks the owner of a new address to confirm the change of an account's email.
    ChangeEmail {
        /// The new address.
        to: String,
        /// Opens the page that confirms the change.
        link: String,
    },
    /// Tells the old address that somebody with the password wants to change the email of the account.
    EmailChangeRequested {
        /// The old address.
        to: String,
    },
    /// Tells the old address that the email of the account has changed.
    EmailChanged {
        /// The old address.
        to: String,
    },
    /// Tells the owner that the password has changed.
    PasswordChanged {
        /// The address of the account.
        to: String,
    },
    /// Tells the owner that the second factor has been turned on or off.
    SecondFactorChanged {
        /// The address of the account.
        to: String,
        /// Whether sign-ins need a second factor from now on.
        enabled: bool,
    },
}

/// The kinds of mail. Each has a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`Message::VerifyEmail`]
    VerifyEmail,
    /// [`Message::ResetPassword`]
    ResetPassword,
    /// [`Message::ChangeEmail`]
    ChangeEmail,
    /// [`Message::EmailChangeRequested`]
    EmailChangeRequested,
    /// [`Message::EmailChanged`]
    EmailChanged,
    /// [`Message::PasswordChanged`]
    PasswordChanged,
    /// [`Message::SecondFactorChanged`]
    SecondFactorChanged,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::ChangeEmail,
        Self::EmailChangeRequested,
        Self::EmailChanged,
        Self::PasswordChanged,
        Self::SecondFactorChanged,
    ];

    /// The name of the kind in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::ChangeEmail => "change_email",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorChanged => "second_factor_changed",
        }
    }

    /// The life of the link in the mail, in seconds. `None` if the mail has no link.
    pub(crate) fn link_seconds(self) -> Option<u64> {
        match self {
            Self::VerifyEmail => Some(VERIFY_LINK_SECONDS),
            Self::ResetPassword => Some(RESET_LINK_SECONDS),
            Self::ChangeEmail => Some(CHANGE_LINK_SECONDS),
            Self::EmailChangeRequested | Self::EmailChanged | Self::PasswordChanged | Self::SecondFactorChanged => None,
        }
    }
}

impl Message {
    /// The kind of the mail.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::VerifyEmail { .. } => Kind::VerifyEmail,
            Self::ResetPassword { .. } => Kind::ResetPassword,
            Self::ChangeEmail { .. } => Kind::ChangeEmail,
            Self::EmailChangeRequested { .. } => Kind::EmailChangeRequested,
            Self::EmailChanged { .. } => Kind::EmailChanged,
            Self::PasswordChanged { .. } => Kind::PasswordChanged,
            Self::SecondFactorChanged { .. } => Kind::SecondFactorChanged,
        }
    }

    /// The address that gets the mail.
    #[must_use]
    pub fn to(&self) -> &str {
        match self {
            Self::VerifyEmail { to, .. }
            | Self::ResetPassword { to, .. }
            | Self::ChangeEmail { to, .. }
            | Self::EmailChangeRequested { to }
            | Self::EmailChanged { to }
            | Self::PasswordChanged { to }
            | Self::SecondFactorChanged { to, .. } => to,
        }
    }

    pub(crate) fn link(&self) -> Option<&str> {
        match self {
            Self::VerifyEmail { link, .. } | Self::ResetPassword { link, .. } | Self::ChangeEmail { link, .. } => {
                Some(link)
            }
            _ => None,
        }
    }

    pub(crate) fn enabled(&self) -> Option<bool> {
        match self {
            Self::SecondFactorChanged { enabled, .. } => Some(*enabled),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({})", self.kind().name())
    }
}
