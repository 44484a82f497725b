//! A worker that listens, and hosts with tokens.

use serde_json::{Value, json};

use crate::scheduler_site::migrated;
use crate::support::TestDb;
use crate::support::http::{Answer, send};
use crate::support::program::{Running, highwater, spawn};

/// A database with a worker in front of it.
pub struct Site {
    pub db: TestDb,
    pub address: String,
    pub worker: Running,
}

/// A host as its agent knows it.
pub struct Host {
    pub id: String,
    pub name: String,
    pub token: String,
    pub group: String,
    pub schedule: String,
}

impl Site {
    pub async fn new(arguments: &[&str]) -> Site {
        let db = migrated().await;
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let worker = spawn(&db, &[&["worker", "--listen", &address], arguments].concat());
        for _ in 0..2_000 {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                return Site { db, address, worker };
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the worker does not listen");
    }

    /// Runs a command and reads its one document.
    pub async fn command(&self, arguments: &[&str]) -> Value {
        let output = highwater(&self.db, &[arguments, &["--format", "json"]].concat()).await.success();
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// A host with a group, a schedule that fires every minute, and a token that it enrolled for.
    pub async fn host(&self, tenant: &str, name: &str) -> Host {
        let added = self
            .command(&["hosts", "add", name, "--tenant", tenant, "--mode", "always-on", "--tz", "UTC"])
            .await;
        let id = added["id"].as_str().unwrap().to_owned();
        let group = self
            .command(&[
                "groups",
                "add",
                &id,
                "home",
                "--source",
                "directory",
                "--path",
                "/home",
                "--repository",
                "/srv/backup",
            ])
            .await;
        let schedule = self
            .command(&[
                "schedules",
                "add",
                &id,
                "--group",
                "home",
                "--cron",
                "* * * * *",
                "--tz",
                "UTC",
                "--catchup",
                "one",
            ])
            .await;
        let code = added["enrol_code"].as_str().unwrap();
        let enrolled = self.post("/v1/agent/enrol", &[], &json!({"code": code})).await.is(201).json();
        assert_eq!(enrolled["host"], id.as_str());
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        Host {
            name: name.to_owned(),
            token: word(&enrolled["token"]),
            group: word(&group["id"]),
            schedule: word(&schedule["id"]),
            id,
        }
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        send(&self.address, "POST", path, headers, body.to_string().as_bytes()).await
    }
}

impl Host {
    /// Sends a request with this host's token.
    pub async fn ask(
        &self,
        site: &Site,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        send(&site.address, method, path, &[&[("Authorization", bearer.as_str())], headers].concat(), body)
            .await
    }

    pub async fn post(&self, site: &Site, path: &str, body: &Value) -> Answer {
        self.ask(site, "POST", path, &[], body.to_string().as_bytes()).await
    }

    pub async fn get(&self, site: &Site, path: &str) -> Answer {
        self.ask(site, "GET", path, &[], b"").await
    }

    pub async fn hello(&self, site: &Site) -> Value {
        let hello = json!({"boot_id": "b1", "epoch": 1, "version": "test", "clock": "2026-11-22T03:04:05Z", "mono_ms": 1});
        self.post(site, "/v1/agent/hello", &hello).await.is(200).json()
    }
}
