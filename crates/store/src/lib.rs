//! The Store: the only SQL. SQLite and PostgreSQL from one text.
