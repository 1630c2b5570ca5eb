"""The service under load: fifty clients, with rebuilds, verifies and bulk actions beside them, and a checker."""
