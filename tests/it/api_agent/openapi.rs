//! `docs/openapi.json` says what there is: the same routes, and every field of every document.

use std::collections::BTreeSet;
use std::path::Path;

use highwater::ground::wire;
use serde_json::{Value, json};

fn document() -> Value {
    serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap()
}

/// `METHOD path` of each route that the sources register.
fn registered() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = std::fs::read_to_string(root.join("api.rs")).unwrap();
    for entry in std::fs::read_dir(root.join("api")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text.split(".route(\"")
        .skip(1)
        .map(|rest| {
            let (path, rest) = rest.split_once('"').unwrap();
            let method = rest.trim_start_matches([',', ' ', '\n']).split('(').next().unwrap();
            format!("{method} {path}")
        })
        .collect()
}

#[test]
fn the_description_has_the_routes_that_there_are() {
    let document = document();
    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    let registered = registered();
    assert!(registered.len() > 10, "{registered:?}");
    assert_eq!(described, registered);
}

/// Every key of a value that has all its fields is described, and every required one is there.
fn holds<T: serde::Serialize + serde::de::DeserializeOwned>(schema: &str, whole: Value) {
    let document = document();
    let schema_of = &document["components"]["schemas"][schema];
    let read: T = serde_json::from_value(whole.clone()).unwrap_or_else(|error| panic!("{schema}: {error}"));
    let written = serde_json::to_value(read).unwrap();
    let keys: BTreeSet<&String> = written.as_object().unwrap().keys().collect();
    let properties: BTreeSet<&String> = schema_of["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys, properties, "{schema}");
    for required in schema_of["required"].as_array().unwrap() {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(required.as_str().unwrap());
        let must = serde_json::from_value::<T>(part).is_err();
        // What is always written may still be left out by a reader that is lenient.
        assert!(must || written.get(required.as_str().unwrap()).is_some(), "{schema}: {required}");
    }
}

#[test]
fn the_description_has_every_field_of_every_document() {
    let id = "01980000-0000-7000-8000-000000000001";
    let at = "2026-11-22T03:04:05Z";
    holds::<wire::problem::Problem>(
        "Problem",
        json!({"type": "t", "title": "t", "status": 400, "detail": "d", "instance": "i"}),
    );
    holds::<wire::hello::Enrol>("Enrol", json!({"code": "c", "hostname": "h", "version": "v"}));
    holds::<wire::hello::Enrolled>(
        "Enrolled",
        json!({"host": id, "name": "n", "token": "t", "expires_at": at}),
    );
    holds::<wire::hello::Hello>(
        "Hello",
        json!({"boot_id": "b", "epoch": 1, "version": "v", "clock": at, "mono_ms": 1, "outbox": {}}),
    );
    holds::<wire::hello::Figures>("Outbox", json!({"oldest_at": at}));
    holds::<wire::hello::Welcome>("Welcome", json!({"server_time": at, "config_rev": 1, "leases": []}));
    holds::<wire::hello::Held>(
        "Held",
        json!({"job": id, "lease_token": 1, "lease_until": at, "cancel": true}),
    );
    holds::<wire::config::Config>(
        "Config",
        json!({"rev": 1, "host": {"id": id, "name": "n", "mode": "always_on", "tz": "UTC"}, "groups": [], "repositories": [], "schedules": []}),
    );
    holds::<wire::fire::Fire>("Fire", json!({"schedule": id, "source_group": id, "slot_at": at}));
    holds::<wire::fire::Fired>("Fired", json!({"run": id, "state": "waiting"}));
    holds::<wire::work::Work>("Work", json!({"work": []}));
    holds::<wire::work::Assignment>(
        "Assignment",
        json!({"job": id, "run": id, "kind": "backup", "source_group": id, "repository": id, "schedule": id, "slot_at": at,
               "reason": "cron", "attempt": 1, "lease_token": 1, "lease_until": at, "prune": []}),
    );
    holds::<wire::work::Renewed>("Renewed", json!({"lease_until": at, "cancel": false}));
    holds::<wire::verdict::Verdicts>("Verdicts", json!({"verdicts": []}));
    holds::<wire::event::Batch>("Batch", json!({"events": []}));
    holds::<wire::record::RecordPut>(
        "RecordPut",
        json!({"record": id, "job": id, "repository": id, "source_group": id, "snapshot": "s", "bytes_total": 1,
               "bytes_added": 1, "sha256": "0", "started_at": at, "finished_at": at}),
    );
    holds::<wire::usage::Usage>(
        "Usage",
        json!({"event_id": "e", "tenant": "t", "occurred_at": at, "runtime": "r", "agent": "a", "project": "p",
               "provider": "p", "model": "m", "task": "t"}),
    );
}
