"""Boot and attachments -> a Launch with path tokens and an exit table. Pure."""
