//! The database of a fleet, looked into and meddled with by PostgreSQL's own programs.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::World;
use crate::assay::Ran;

impl World {
    /// Where the database listens: `HOST:PORT`.
    pub fn database(&self) -> &str {
        let (_, place) = self.store_url.split_once('@').expect("the URL names a user");
        place.split('/').next().expect("a host")
    }

    /// The URL of the store behind another address.
    pub fn store_url_at(&self, address: SocketAddr) -> String {
        self.store_url.replace(self.database(), &address.to_string())
    }

    /// Runs SQL on the database: for what no command of ours would do.
    pub fn sql(&self, sql: &str) {
        assert!(self.sql_beside(sql).wait().expect("psql").success(), "{sql}");
    }

    /// Begins to run SQL on the database.
    pub fn sql_beside(&self, sql: &str) -> Child {
        let mut psql = Command::new("psql");
        psql.args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", sql]);
        psql.args(["--dbname", self.database_url()]).stdout(Stdio::null());
        psql.spawn().expect("psql, which comes with PostgreSQL")
    }

    /// Everything that stands in the database, as text.
    pub fn dump(&self) -> String {
        let mut dump = Command::new("pg_dump");
        dump.args(["--data-only", "--no-owner", "--dbname", self.database_url()]);
        let dumped = dump.output().expect("pg_dump, which comes with PostgreSQL");
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        String::from_utf8_lossy(&dumped.stdout).into_owned()
    }

    /// The URL of the database, as PostgreSQL's own programs take it.
    fn database_url(&self) -> &str {
        // What follows is for our driver.
        self.store_url.split('?').next().expect("a URL")
    }

    /// Asks the database: the rows without a frame, for what no method of the store says.
    pub fn query(&self, sql: &str) -> String {
        let place = self.store_url.split('?').next().expect("a URL");
        let mut psql = Command::new("psql");
        psql.args([
            "--quiet",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--dbname",
            place,
            "--command",
            sql,
        ]);
        Ran::from(psql.output().expect("psql, which comes with PostgreSQL"))
            .expect(0)
            .stdout
            .trim()
            .to_owned()
    }
}
